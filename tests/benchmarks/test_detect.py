"""What the benchmark makes of the answers of the programs that judge, which run for minutes themselves."""

from benchmarks.detect import decoy_figures, profile_figures


class TestFiguresOfDetection:
    def test_what_must_not_alert_is_told_kind_by_kind(self) -> None:
        fired = {"weekly_promo": "1/16", "closure": "0/4", "false_alerts_inside_growth": 3}
        told = [(each.name.strip(), each.value, each.unit, each.target) for each in decoy_figures(fired)]
        assert told == [
            ("promotions with a false alert", 1, "of 16", "0"),
            ("closures with a false alert", 0, "of 4", "0"),
            ("false alerts in the weeks of growth", 3, "", "0"),
        ]

    def test_a_score_of_series_stands_beside_what_it_comes_from(self) -> None:
        counted = {"score": 72.36, "windows": 61, "hits": 55, "false_alarms": 129, "threshold": 0.5}
        told = [(each.value, each.unit, each.target) for each in profile_figures("standard", counted)]
        assert told == [(72.36, "of 100", ">= 62"), (55, "of 61", ""), (129, "", "")]
