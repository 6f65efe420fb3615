"""Spans by OpenTelemetry's SDK, sent with OTLP over HTTP; loaded only when tracing is on.

Sampling and the rest of the SDK obey its own variables (OTEL_TRACES_SAMPLER and so on). A collector
that is away costs spans and nothing else: they are sent by a thread of its own out of a bounded
queue, and what does not fit is dropped.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chassis.tracer import HEADER, Kind

EXPORT_SECONDS = 3.0

log = structlog.get_logger()

_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_NOTHING: AbstractContextManager[object] = nullcontext()


class SdkTracer:
    """See `tracer.Tracer`."""

    def __init__(self, endpoint: str, service: str, instance: str, node: str) -> None:
        """Nothing connects before the first span has ended.

        Args:
            endpoint: base URL of the collector.
            service, instance, node: who traces.
        """
        # The exporter would log each failure; here it is once when it begins and once when it ends.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = _Exporter(endpoint)
        resource = {
            "service.namespace": "feira",
            "service.name": service,
            "service.instance.id": instance,
            "feira.node": node,
        }
        self._provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("feira")
        self._propagator = TraceContextTextMapPropagator()
        atexit.register(self.shut_down)

    def span(
        self, name: str, kind: Kind, parent: str | None, attributes: dict[str, str]
    ) -> AbstractContextManager[object]:
        """See `tracer.Tracer`. Only a request begins a trace: what loops do on nobody's behalf
        makes none.
        """
        if parent is None and kind != "server" and self.traceparent() is None:
            return _NOTHING
        context = self._propagator.extract({HEADER: parent}) if parent else None
        return self._tracer.start_as_current_span(
            name, context, kind=_KINDS[kind], attributes=dict(attributes)
        )

    def annotate(self, attributes: dict[str, str | int]) -> None:
        """See `tracer.Tracer`."""
        trace.get_current_span().set_attributes(dict(attributes))

    def traceparent(self) -> str | None:
        """See `tracer.Tracer`."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(HEADER)

    def shut_down(self) -> None:
        """Send what is left; a collector that is away is not waited for."""
        self._exporter.close()
        self._provider.shutdown()


class _Exporter(OTLPSpanExporter):
    def __init__(self, endpoint: str) -> None:
        base = endpoint.rstrip("/")
        super().__init__(endpoint=f"{base}/v1/traces", timeout=EXPORT_SECONDS)
        self._base = base
        self._away = False
        self._closing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._closing and self._away:
            return SpanExportResult.FAILURE
        result: SpanExportResult = super().export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            log.warning("traces_not_taken", endpoint=self._base)
        elif self._away and not away:
            log.info("traces_taken_again", endpoint=self._base)
        self._away = away
        return result

    def close(self) -> None:
        self._closing = True
        if self._away:
            self.shutdown()

    def shutdown(self) -> None:
        if not self._shutdown:
            super().shutdown()  # type: ignore[no-untyped-call]
