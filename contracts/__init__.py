"""The words every tier speaks: money, time, problems, entities, events, ports."""
