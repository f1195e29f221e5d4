"""Watches sale lines as they arrive: entry errors in price and quantity, price drops across invoices, orders entered twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from nebuloviz.detection.alerts import Finding, severity_of
from nebuloviz.detection.grain import HOUR
from nebuloviz.detection.line_model import (
    DROPS,
    PRICE,
    QUANTITY,
    REPEATS,
    DropCounts,
    LineModel,
    LineSettings,
    Sample,
    drop_deviations,
    fit_lines,
)
from nebuloviz.detection.price_drops import DropCounter
from nebuloviz.detection.product_memory import Known, LineFeatures, ProductMemory, judged_places, line_features
from nebuloviz.detection.repeats import RepeatRule
from nebuloviz.detection.series import (
    COMPANY,
    HOURS_PER_DAY,
    BoolArray,
    FloatArray,
    IntArray,
    Lines,
    SeriesKey,
    runs,
    time_of_hour,
)
from nebuloviz.detection.training import training_due

NOVELTY = timedelta(hours=24)
_SAMPLE_EVERY = 20
_SAMPLE_TOP = 5
_RANGE_SPREADS = 2.0


def _nothing() -> None:
    pass


@dataclass
class _Samples:
    """Rows kept for the next fit, hour by hour."""

    width: int
    chunks: list[Sample] = field(default_factory=list)

    def add(self, day: int, features: FloatArray, seen: int) -> None:
        """Keep every twentieth line, counted over all hours, and the hour's five most deviating."""
        size = np.nan_to_num(np.abs(features)).max(axis=1, initial=0.0)
        top = np.argsort(-size, kind="stable")[:_SAMPLE_TOP]
        every = np.flatnonzero((seen + np.arange(len(features))) % _SAMPLE_EVERY == 0)
        rows = np.union1d(top, every)
        self.chunks.append(Sample(np.full(len(rows), day), features[rows]))

    def all(self, since: int) -> Sample:
        self.chunks = [chunk for chunk in self.chunks if len(chunk.days) and chunk.days[0] >= since]
        empty = Sample(np.zeros(0, np.int64), np.zeros((0, self.width)))
        kept = [empty, *self.chunks]
        return Sample(np.concatenate([c.days for c in kept]), np.vstack([c.features for c in kept]))


@dataclass
class _OpenHour:
    """What was learned in the hour under way, not yet remembered: lines of one hour are compared with those before it."""

    hour: int
    rows: list[IntArray] = field(default_factory=list)
    log_price: list[FloatArray] = field(default_factory=list)
    log_quantity: list[FloatArray] = field(default_factory=list)
    features: list[LineFeatures] = field(default_factory=list)


@dataclass
class LineWatch:
    """Findings from sale lines in the order of their arrival.

    Causal: a finding depends on the lines up to its own, and on those of its own invoice, which should arrive in one batch.
    However lines are cut into batches otherwise, the findings are the same.

    `close` an hour to judge the share of price drops in it; `train` when `fit_due`, best while it is `between_days`: that is called
    when a local day is over, before the next one is judged. Pickle it to keep it; or keep its `model`, begin with that another
    time, and let it `remember` the last weeks.
    """

    settings: LineSettings = field(default_factory=LineSettings)
    model: LineModel | None = None
    memory: ProductMemory = field(default_factory=ProductMemory)
    repeats: RepeatRule = field(default_factory=RepeatRule)
    drops: DropCounter = field(init=False)
    first_day: int | None = None
    _open: _OpenHour | None = None
    _judging: bool = True
    _seen: int = 0
    _large_amount: float = np.inf  # of one line, as the days before today have it
    _price: _Samples = field(default_factory=lambda: _Samples(2))
    _quantity: _Samples = field(default_factory=lambda: _Samples(2))
    _recent: dict[str, tuple[datetime, float]] = field(default_factory=dict)  # the last novel finding of each detector

    def __post_init__(self) -> None:
        known = self.model.segments if self.model else (COMPANY,)
        self.drops = DropCounter(self.settings.dimensions, self.settings.max_segments, list(known))

    def feed(self, lines: Lines, between_days: Callable[[], None] = _nothing) -> list[Finding]:
        """Findings of these lines; `Finding.line` is the place in the batch."""
        found: list[Finding] = []
        latest = self._open.hour if self._open else int(lines.hour.min(initial=2**40))
        hours = np.maximum.accumulate(np.maximum(lines.hour, latest)) if len(lines) else lines.hour
        for start, end in runs(hours):
            found += self._advance(int(hours[start]), between_days)
            found += self._feed_hour(lines[start:end], start)
        return found

    def remember(self, lines: Lines, between_days: Callable[[], None] = _nothing) -> None:
        """As `feed`, of lines that were judged before, or never will be: they teach, and are not judged."""
        self._judging = False
        self.feed(lines, between_days)
        self._judging = True

    def close(self, hour: int, between_days: Callable[[], None] = _nothing) -> list[Finding]:
        """Nothing more is coming for the hours before `hour`."""
        return self._advance(hour, between_days)

    @property
    def day(self) -> int:
        """The local day under way (days since 1970); 0 before the first line."""
        return self._day(self._open.hour) if self._open is not None else 0

    def day_of(self, moment: datetime) -> int:
        """The local day that holds an aware `moment`."""
        return self._day(HOUR.bucket_of(moment))

    def _day(self, hour: int) -> int:
        return self._wall(hour) // HOURS_PER_DAY

    @property
    def _judge(self) -> LineModel | None:
        """What lines are judged by; None where they are not."""
        return self.model if self._judging else None

    def _advance(self, hour: int, between_days: Callable[[], None]) -> list[Finding]:
        """Move on to a later hour: remember what the one under way taught, and judge its price drops."""
        if self._open is None:
            self._open = _OpenHour(hour)
            self.first_day = self._day(hour)
        if hour <= self._open.hour:
            return []
        done, self._open = self._open, _OpenHour(hour)
        if done.rows:
            prices, quantities = np.concatenate(done.log_price), np.concatenate(done.log_quantity)
            self.memory.learn(np.concatenate(done.rows), prices, quantities)
            self._keep_samples(done)
        is_over = self.day > self._day(done.hour)
        if is_over:
            self._large_amount = self.memory.large_amount()
        found = self._judge_drops(done.hour)
        if is_over:
            between_days()
        return found

    def _keep_samples(self, done: _OpenHour) -> None:
        day = self._day(done.hour)
        price = np.vstack([features.price for features in done.features])
        self._price.add(day, price, self._seen)
        self._quantity.add(day, np.vstack([features.quantity for features in done.features]), self._seen)
        self._seen += len(price)

    def _wall(self, hour: int) -> int:
        return int(self.settings.calendar.wall_hours(np.array([hour]))[0])

    def _feed_hour(self, lines: Lines, offset: int) -> list[Finding]:
        found = list(self._judge_repeats(lines, offset))
        place = judged_places(lines)
        judged = lines[place]
        if not len(judged) or self._open is None:
            return found
        rows = self.memory.rows(judged.product_id)
        features = line_features(judged, self.memory.recall(rows), self._large_amount)
        self._open.rows.append(rows)
        log_price = np.log(judged.unit_price)
        sold_at = self.memory.sold_at(rows, log_price)
        self._open.log_price.append(log_price)
        self._open.log_quantity.append(np.log(np.maximum(judged.quantity, 1.0)))
        self._open.features.append(features)
        promoted = self._promoted(judged)
        ratio = np.where(promoted, np.maximum(features.price[:, 0], 0.0), features.price[:, 0])
        self.drops.add(self._wall(self._open.hour), judged, ratio)
        found += self._judge_lines(judged, features, place + offset, promoted, sold_at)
        return sorted(found, key=lambda finding: finding.moment)

    def _judge_lines(
        self, lines: Lines, features: LineFeatures, place: IntArray, promoted: BoolArray, sold_at: BoolArray
    ) -> Iterator[Finding]:
        """A price that its product is sold at (`sold_at`) is no error, however far from the others."""
        if self._judge is None:
            return
        for name, judge, rows in (
            (PRICE, self._judge.price, np.where(sold_at[:, None], np.nan, features.price)),
            (QUANTITY, self._judge.quantity, features.quantity),
        ):
            surprise = judge.surprise(rows)
            for i in np.flatnonzero(surprise >= self.settings.threshold(name)).tolist():
                key = SeriesKey(name, ((self.settings.product_dimension, str(lines.product_id[i])),))
                usual = _usual_price(features.known, i) if name == PRICE else _usual_quantity(features.known, i)
                observed = float(lines.unit_price[i] if name == PRICE else lines.quantity[i])
                if name == PRICE and observed < usual[0] and promoted[i]:
                    continue
                yield self._finding(key, _moment(lines, i), observed, usual, float(surprise[i]), line=int(place[i]))

    def _promoted(self, lines: Lines) -> BoolArray:
        """Which lines are sold in a promotion of their product, or of their category, region, store and so on."""
        calendar = self.settings.calendar
        named = {**lines.dimensions, self.settings.product_dimension: lines.product_id}
        return calendar.promoted(calendar.wall_hours(lines.hour), named)

    def _judge_repeats(self, lines: Lines, offset: int) -> Iterator[Finding]:
        threshold = self.settings.threshold(REPEATS)
        for repeat in self.repeats.feed(lines):
            if self._judge is not None and repeat.surprise >= threshold:
                usual = (repeat.usual, 0.0, max(1.0, 4 * repeat.usual))
                moment = _moment(lines, repeat.line)
                key = SeriesKey(REPEATS)
                yield self._finding(key, moment, repeat.orders, usual, repeat.surprise, line=repeat.line + offset)

    def _judge_drops(self, hour: int) -> list[Finding]:
        """Price drops in the hour just closed and the windows that end with it."""
        model = self._judge
        if model is None or self._wall(hour) not in self.drops.counts:
            return []
        wall, n = self._wall(hour), len(model.drop_share)
        counts = self.drops.table(wall // HOURS_PER_DAY - 1, wall + 1)
        deviations = drop_deviations(
            DropCounts(counts.first_day, model.segments, counts.invoices[:, :n], counts.drops[:, :n]),
            model.drop_share,
        )[-1]
        judged = counts.invoices[-1, :n] > 0
        surprise = np.where(judged, model.drops.surprise(deviations), -np.inf)
        found = []
        for k in np.argsort(-surprise, kind="stable").tolist():
            if surprise[k] < self.settings.threshold(DROPS):
                break
            if self.settings.calendar.is_promoted(wall, self.drops.segments[k]):
                continue
            hours = HOUR.windows[int(deviations[k].argmax())]
            due = float(counts.invoices[-hours:, k].sum() * model.drop_share[k])
            usual = (due, 0.0, (np.sqrt(due) + 0.75) ** 2)
            key, end = SeriesKey(DROPS, self.drops.segments[k]), time_of_hour(hour + 1)
            found.append(
                self._finding(key, end, counts.drops[-hours:, k].sum(), usual, float(surprise[k]), hours=hours)
            )
        return found

    def _finding(
        self,
        key: SeriesKey,
        moment: datetime,
        observed: float,
        usual: tuple[float, float, float],
        score: float,
        *,
        hours: int = 0,
        line: int | None = None,
    ) -> Finding:
        """`hours` is the length of the window that ends at `moment`; 0 for a line, which stands in the hour it was sold in."""
        start = moment - timedelta(hours=hours) if hours else moment.replace(minute=0, second=0, microsecond=0)
        return Finding(
            key=key,
            bucket_start=start,
            bucket_end=moment if hours else start + timedelta(hours=1),
            observed=float(observed),
            expected=usual[0],
            expected_low=usual[1],
            expected_high=usual[2],
            score=score,
            severity=severity_of(score, self.settings.threshold(key.metric)),
            detector=key.metric,
            novel=self._is_novel(key.metric, moment, score),
            raised_at=moment,
            line=line,
        )

    def _is_novel(self, detector: str, moment: datetime, score: float) -> bool:
        """It stands out more than anything that this detector found in the day before."""
        last = self._recent.get(detector)
        if last is not None and moment - last[0] < NOVELTY and score <= last[1]:
            return False
        self._recent[detector] = (moment, score)
        return True

    @property
    def fit_due(self) -> bool:
        """There is enough history for a first model, or a week has begun since the last one."""
        if self._open is None or self.first_day is None:
            return False
        known = None if self.model is None else self.model.trained_until
        return training_due(self.day, self.first_day, known, self.settings.warmup_weeks)

    def train(self) -> LineModel:
        """Fit on the whole days fed so far and adopt the result, here and now. Raises RuntimeError before the first line."""
        if self._open is None or self.first_day is None:
            raise RuntimeError("no sale line was fed yet")
        until = self.day
        since = max(self.first_day, until - self.settings.fit_weeks * 7)
        counts = self.drops.table(since, until * HOURS_PER_DAY)
        self.drops.forget((since - 1) * HOURS_PER_DAY)
        self.model = fit_lines(self._price.all(since), self._quantity.all(since), counts, until, self.settings)
        return self.model


def _moment(lines: Lines, i: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(lines.sold_at[i]))


def _usual_price(known: Known, i: int) -> tuple[float, float, float]:
    """Usual, lowest and highest known price."""
    return float(np.exp(known.price[i])), float(np.exp(known.price_low[i])), float(np.exp(known.price_high[i]))


def _usual_quantity(known: Known, i: int) -> tuple[float, float, float]:
    """Usual quantity, and the range that the product's past lines mostly lie in."""
    reach = _RANGE_SPREADS * known.quantity_spread[i]
    low, usual, high = np.exp([known.quantity[i] - reach, known.quantity[i], known.quantity[i] + reach])
    return float(usual), float(low), float(high)
