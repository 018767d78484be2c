"""A match without end: who hits when and where, one stroke planned at a time.

Everything depends on time alone, so the same seed plays the same match at any frame rate and picture size. Only the
present and the last two phases are kept.
Next: rally_figure.py
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from sightline.drawn.rally_camera import Kind
from sightline.drawn.rally_flight import Flight, fly
from sightline.drawn.rally_shots import RULES, STYLES, Rules, choose_style, launch

_FASTEST = 6.0  # m/s, of a player's mean speed to a contact
_HOLD_S = (0.9, 1.9)
_LYING_S = (0.3, 1.1)
_TOSS_S = 0.62
_TURN_S, _SWING = 0.035, 0.25


@dataclass(frozen=True, kw_only=True, eq=False)
class Swing:
    """A racket meets the object at `point` [3] at `time`; `side` is +1 on the side of the racket's hand."""

    time: float
    point: np.ndarray
    side: float


@dataclass(kw_only=True, eq=False)
class Player:
    """One player: where the feet are at a time, and the present swing.

    Attributes:
        end: -1 plays at negative y, 1 at positive y.
        hand: 1 for a right-handed player.
        base: [2], where the feet return to.
        leg: start and end time, start and end place of the present walk.
        swing: the last or the next stroke.
        holds: until which time the free hand holds the object, and from when.
    """

    end: int
    hand: float
    base: np.ndarray
    leg: tuple[float, float, np.ndarray, np.ndarray]
    swing: Swing | None = None
    holds: tuple[float, float] | None = None

    def feet(self, times: np.ndarray) -> np.ndarray:
        """Place between the feet [S, 2]: a walk with the least jerk between two places."""
        start, stop, before, after = self.leg
        s = np.clip((times - start) / max(stop - start, 1e-6), 0, 1)[:, None]
        return before + s**3 * (10 - 15 * s + 6 * s * s) * (after - before)

    def walk(self, *, start: float, stop: float, to: np.ndarray) -> None:
        """Go somewhere else from where the feet are at `start`."""
        self.leg = (start, max(stop, start + 0.15), self.feet(np.array([start]))[0], to)

    def held_point(self, times: np.ndarray) -> np.ndarray:
        """Where the free hand holds the object: [S, 3]."""
        feet = self.feet(times)
        rise = np.full(len(feet), 1.12)
        return np.stack([feet[:, 0] - self.end * -0.16 * self.hand, feet[:, 1] - self.end * 0.42, rise], axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Phase:
    """A stretch of time with one flight, or with the object in a hand.

    Attributes:
        start: seconds.
        end: seconds; the next phase starts here.
        flight: None while it is held.
        holder: who holds it.
        in_play_until: the object is in play from `start` until then.
        turned_from: [3], the direction in which the head pointed before.
    """

    start: float
    end: float
    flight: Flight | None
    holder: Player | None
    in_play_until: float
    turned_from: np.ndarray


@dataclass(kw_only=True)
class Play:
    """The match. Ask for times that do not decrease by more than an exposure.

    Attributes:
        kind: shuttle or ball.
        rng: decides everything that happens.
        pairs: two players on each side rather than one.
    """

    kind: Kind
    rng: np.random.Generator
    pairs: bool
    rules: Rules = field(init=False)
    players: list[Player] = field(init=False)
    _phases: deque[Phase] = field(init=False)
    _plan: tuple[Player, float] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Place the players and begin with a serve."""
        self.rules = RULES[self.kind]
        self.players = []
        for end in (-1, 1):
            for place in range(2 if self.pairs else 1):
                base = self._base(end, place)
                hand = -1.0 if self.rng.random() < 0.12 else 1.0
                self.players.append(Player(end=end, hand=hand, base=base, leg=(0.0, 0.1, base, base)))
        self._phases = deque(maxlen=3)
        self._hold(0.0, seconds=float(self.rng.uniform(0.2, 0.8)))

    def state(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """Head positions [S, 3], the unit vector [3] along which the object points, and whether it is in play.

        The last two are told for the middle one of the times.
        """
        while self._phases[-1].end <= times[-1]:
            self._advance()
        middle = float(times[len(times) // 2])
        places = np.empty((len(times), 3))
        starts = np.array([phase.start for phase in self._phases])
        owner = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
        for index in np.unique(owner):
            places[owner == index] = _places(self._phases[index], times[owner == index])
        phase = self._phase_at(middle)
        return places, _direction(phase, middle), middle < phase.in_play_until

    def _phase_at(self, time: float) -> Phase:
        return next((phase for phase in reversed(self._phases) if phase.start <= time), self._phases[0])

    def _at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        phase = self._phase_at(time)
        return _places(phase, np.array([time]))[0], _direction(phase, time)

    def _advance(self) -> None:
        now = self._phases[-1].end
        if self._plan is None:
            if self._phases[-1].flight is None:
                self._serve(now)
            else:
                self._hold(now, seconds=float(self.rng.uniform(*_HOLD_S)))
            return
        hitter, _ = self._plan
        point, direction = self._at(now)
        style = choose_style(self.kind, point, rng=self.rng)
        self._strike(hitter, now, point=point, style=style, turned_from=direction)

    def _hold(self, now: float, *, seconds: float) -> None:
        server = self.players[int(self.rng.integers(len(self.players)))]
        deep = 0.36 if self.kind == "shuttle" else 1.01
        side = float(self.rng.choice([-1, 1]))
        for player in self.players:
            at = player.base
            if player is server:
                at = np.array([side * self.rng.uniform(0.3, 1.2), player.end * deep * self.rules.half_length])
            player.walk(start=now, stop=now + 0.8 * seconds, to=at)
        server.holds = (now, now + seconds)
        if self.kind == "shuttle":
            point = server.held_point(np.array([now + seconds]))[0]
            server.swing = Swing(time=now + seconds, point=point, side=1.0)
        self._phases.append(
            Phase(start=now, end=now + seconds, flight=None, holder=server, in_play_until=now, turned_from=np.zeros(3))
        )

    def _serve(self, now: float) -> None:
        server = self._phases[-1].holder
        assert server is not None
        point, direction = self._at(now)
        if self.kind == "ball":
            up = np.array([0.1 * server.hand * -server.end, -0.6 * server.end, 5.6])
            flight = fly(self.rules.body, position=point, velocity=up, start=now, net_height=None, longest=_TOSS_S)
            server.swing = Swing(time=now + _TOSS_S, point=flight.positions[-1], side=1.0)
            self._append(flight, now=now, until=now + _TOSS_S, direction=direction)
            self._plan = (server, now + _TOSS_S)
            return
        style = "low serve" if self.rng.random() < 0.45 else "high serve"
        self._strike(server, now, point=point, style=style, turned_from=direction)

    def _strike(self, hitter: Player, now: float, *, point: np.ndarray, style: str, turned_from: np.ndarray) -> None:
        """Launch a stroke and plan who answers it, if anyone can."""
        if self.kind == "ball" and point[2] > 2.3:
            style = "serve"
        rules, chosen = self.rules, STYLES[style]
        half = rules.half_width if self.pairs else rules.single_half_width
        depth = self.rng.uniform(*chosen.depth) * rules.half_length
        target = np.array([self.rng.uniform(-0.88, 0.88) * half, -hitter.end * depth])
        fails = bool(self.rng.random() < 0.06)
        velocity = launch(rules, origin=point, target_xy=target, style=chosen, fails=fails, rng=self.rng)
        flight = fly(rules.body, position=point, velocity=velocity, start=now, net_height=rules.net_height)
        hitter.walk(start=now + 0.12, stop=now + 0.9, to=hitter.base)
        self._plan = self._answer(flight, end=-hitter.end, now=now)
        if self._plan is None:
            rest = float(flight.times[-1])
            self._append(flight, now=now, until=rest + float(self.rng.uniform(*_LYING_S)), direction=turned_from)
        else:
            self._append(flight, now=now, until=self._plan[1], direction=turned_from)

    def _append(self, flight: Flight, *, now: float, until: float, direction: np.ndarray) -> None:
        stop = float(flight.times[-1]) if flight.comes_to_rest else until
        self._phases.append(
            Phase(start=now, end=until, flight=flight, holder=None, in_play_until=stop, turned_from=direction)
        )

    def _answer(self, flight: Flight, *, end: int, now: float) -> tuple[Player, float] | None:
        """Choose a contact on the way that some player at `end` reaches, and send that player there."""
        low, high = self.rules.reach
        height, depth = flight.positions[:, 2], flight.positions[:, 1] * end
        bounced = np.concatenate([[0], np.cumsum(np.diff(flight.times) == 0)])
        can = (height > low) & (height < high) & (depth > 0.35) & (depth < 1.35 * self.rules.half_length)
        can &= flight.times > now + 0.18
        can &= bounced <= (0 if self.kind == "shuttle" else 1)
        if self.kind == "ball":
            can &= (bounced == 1) | (depth < 0.5 * self.rules.half_length)
        if self.rng.random() < 0.05:
            return None
        chances = []
        for player in (player for player in self.players if player.end == end):
            start = player.feet(np.array([now]))[0]
            far = np.linalg.norm(flight.positions[:, :2] - start, axis=1) - 0.9
            quick = can & (far < _FASTEST * (flight.times - now - 0.1))
            chances += [(player, int(row)) for row in np.flatnonzero(quick)[::4]]
        if not chances:
            return None
        # High contacts come first: a player who has the time does not let it fall.
        wish = np.array(
            [(flight.positions[row, 2] / high) ** (3 if self.kind == "shuttle" else 0) for _, row in chances]
        )
        player, row = chances[int(self.rng.choice(len(chances), p=wish / wish.sum()))]
        point, time = flight.positions[row], float(flight.times[row])
        side = float(np.sign((point[0] - player.feet(np.array([now]))[0, 0]) * -player.end * player.hand) or 1.0)
        side = 1.0 if point[2] > 1.9 else side
        right = np.array([-player.end * player.hand, 0.0])
        feet = point[:2] - right * side * (0.32 if point[2] > 1.7 else 0.62) + np.array([0.0, player.end * 0.35])
        feet[1] = player.end * max(player.end * feet[1], 0.45)  # nobody stands in the net
        player.walk(start=now + 0.1, stop=time - 0.02, to=feet)
        player.swing = Swing(time=time, point=point, side=side)
        return player, time

    def _base(self, end: int, place: int) -> np.ndarray:
        deep = (0.55 if self.kind == "shuttle" else 1.04) * self.rules.half_length
        if not self.pairs:
            return np.array([self.rng.uniform(-0.4, 0.4), end * deep])
        across = 0.5 * self.rules.half_width
        if self.kind == "ball" and place:
            deep = 0.3 * self.rules.half_length
        return np.array([(2 * place - 1) * across, end * deep * self.rng.uniform(0.9, 1.1)])


def _places(phase: Phase, times: np.ndarray) -> np.ndarray:
    if phase.flight is not None:
        return phase.flight.at(times)[0]
    assert phase.holder is not None
    return phase.holder.held_point(times)


def _direction(phase: Phase, time: float) -> np.ndarray:
    """Where the head of a shuttle points: along its way, but for the turn after a stroke and the ground."""
    if phase.flight is None:
        assert phase.holder is not None
        return np.array([0.0, -0.3 * phase.holder.end, -0.954])
    velocity = phase.flight.at(np.array([time]))[1][0]
    speed = float(np.linalg.norm(velocity))
    ahead = velocity / speed if speed > 0.3 else phase.turned_from
    # A struck shuttle turns over within some hundredths of a second and swings out.
    since = max(time - phase.start, 0.0)
    turn = min(since / _TURN_S, 1.0)
    swing = _SWING * np.exp(-since / 0.05) * np.sin(90 * since)
    ahead = (1 - turn) * phase.turned_from + turn * ahead + swing * np.array([0.3, 0.0, 1.0])
    if phase.flight.comes_to_rest and time > phase.in_play_until - 0.25:  # it lies on its side
        ahead = ahead * np.array([1.0, 1.0, 0.1]) + np.array([0.0, 0.02, -0.25])
    length = float(np.linalg.norm(ahead))
    return ahead / length if length > 1e-6 else np.array([0.0, 0.0, -1.0])
