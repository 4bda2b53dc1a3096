package snapshot

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what a Saver does. They are a prometheus.Collector. A nil
// *Metrics counts nothing.
type Metrics struct {
	sequence, at, size prometheus.Gauge
	failures           prometheus.Counter
}

// NewMetrics returns metrics that stand at zero.
func NewMetrics() *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fleetfold", Name: name, Help: help})
	}
	return &Metrics{
		sequence: gauge("snapshot_sequence", "Sequence of the log that the last snapshot of this process ends with; 0 for none."),
		at:       gauge("snapshot_timestamp_seconds", "When that snapshot was stored, in seconds of Unix time; 0 for none."),
		size:     gauge("snapshot_bytes", "Size of that snapshot as it is stored."),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "fleetfold", Name: "snapshot_failures_total",
			Help: "Snapshots that could not be saved, and old ones that could not be deleted."}),
	}
}

func (m *Metrics) saved(sequence uint64, size int64, at time.Time) {
	if m == nil {
		return
	}
	m.sequence.Set(float64(sequence))
	m.size.Set(float64(size))
	m.at.Set(float64(at.UnixMilli()) / 1000)
}

func (m *Metrics) failed() {
	if m != nil {
		m.failures.Inc()
	}
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.sequence, m.at, m.size, m.failures}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
}
