"""The surroundings of the whole tier, under the name billing has always used."""

from process_apis.around import Around, around, bind, who

__all__ = ["Around", "around", "bind", "who"]
