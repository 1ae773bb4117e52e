"""What Prometheus reads of a worker."""

from trunkline.core.health import Breaker
from trunkline.gateway import metrics
from trunkline.gateway.metrics import Metrics


def test_the_text_is_what_prometheus_reads() -> None:
    """Counters, a cumulative histogram, gauges; every line names the worker."""
    told = Metrics("w1")
    told.requests.add("chat", "fast", "complete")
    told.requests.add("chat", "fast", "complete")
    told.ttft.add(0.3, "fast", 'a"\\\n')
    told.ttft.add(99.0, "fast", 'a"\\\n')
    lines = told.text(3, {"a": Breaker.OPEN}).splitlines()
    name = "trunkline_gateway_"
    assert f"# TYPE {name}requests_total counter" in lines
    complete = '{worker="w1",route="chat",model="fast",outcome="complete"}'
    assert f"{name}requests_total{complete} 2" in lines
    labels = 'worker="w1",model="fast",endpoint="a\\"\\\\\\n"'
    assert f'{name}ttft_seconds_bucket{{{labels},le="0.2"}} 0' in lines
    assert f'{name}ttft_seconds_bucket{{{labels},le="0.3"}} 1' in lines
    assert f'{name}ttft_seconds_bucket{{{labels},le="+Inf"}} 2' in lines
    assert f"{name}ttft_seconds_count{{{labels}}} 2" in lines
    assert f'{name}requests_running{{worker="w1"}} 3' in lines
    assert 'trunkline_endpoint_state{worker="w1",endpoint="a",state="open"} 1' in lines


def test_label_sets_are_bounded() -> None:
    """Whatever the labels are made of."""
    told = Metrics("w1")
    for n in range(metrics.SERIES_MAX + 5):
        told.requests.add("chat", str(n), "complete")
        told.ttft.add(0.1, str(n), "a")
    assert len(list(told.requests.lines({}))) == metrics.SERIES_MAX + 2
    assert sum("_count" in line for line in told.ttft.lines({})) == metrics.SERIES_MAX
