"""A peer that is down is left alone, and second attempts stay few."""

from chassis.breaker import Breaker, BreakerRules, RetryBudget


def failing(breaker, times):
    for _ in range(times):
        assert breaker.wait_s() == 0
        breaker.failed()


def test_five_faults_in_a_row_open_it(fixed):
    """Four do not, and an answer in between starts the count again."""
    breaker = Breaker()
    failing(breaker, 4)
    breaker.answered()
    failing(breaker, 4)
    assert not breaker.open
    failing(breaker, 1)
    assert breaker.open
    assert breaker.wait_s() == 2.0


def test_half_of_many_calls_failing_opens_it(fixed):
    """Also when answers come in between; what is older than the window does not count."""
    breaker = Breaker()
    for _ in range(9):
        breaker.failed()
        breaker.answered()
    fixed.move(61)
    for _ in range(9):
        breaker.answered()
        breaker.failed()
    assert not breaker.open
    breaker.answered()
    breaker.failed()
    assert breaker.open


def test_one_probe_decides(fixed):
    """After the rest one call goes out; the others wait until it came back."""
    breaker = Breaker()
    failing(breaker, 5)
    fixed.move(2)
    assert breaker.wait_s() == 0
    assert breaker.wait_s() > 0
    breaker.answered()
    assert not breaker.open
    assert breaker.wait_s() == 0


def test_a_failed_probe_doubles_the_rest_up_to_a_minute(fixed):
    """A peer that stays down is asked ever more rarely."""
    breaker = Breaker(BreakerRules(open_s=20))
    failing(breaker, 5)
    rests = []
    for _ in range(3):
        fixed.move(breaker.wait_s())
        assert breaker.wait_s() == 0
        breaker.failed()
        rests.append(breaker.wait_s())
    assert rests == [40, 60, 60]


def test_a_probe_given_up_lets_another_go(fixed):
    """A cancelled call must not keep the breaker open for ever."""
    breaker = Breaker()
    failing(breaker, 5)
    fixed.move(2)
    assert breaker.wait_s() == 0
    breaker.abandoned()
    assert breaker.wait_s() == 0


def test_retries_are_a_share_of_calls():
    """A reserve of five, then 15 in a hundred."""
    budget = RetryBudget()
    assert [budget.take() for _ in range(6)] == [True] * 5 + [False]
    taken = 0
    for _ in range(1000):
        budget.called()
        taken += budget.take()
    assert 140 <= taken <= 150
