package checkpoint

import "github.com/prometheus/client_golang/prometheus"

// Metrics tell how far a log is signed. It is a prometheus.Collector.
type Metrics struct{ sequence, owed, mismatch prometheus.Gauge }

// NewMetrics returns metrics that stand at zero.
func NewMetrics() *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fleetfold", Name: name, Help: help})
	}
	return &Metrics{
		sequence: gauge("checkpoint_sequence", "Sequence of the log up to which the newest checkpoint goes; 0 for none."),
		owed:     gauge("checkpoint_not_handed_on", "How many of file and command have not taken the newest checkpoint."),
		mismatch: gauge("checkpoint_mismatch", "1 when a checkpoint of the key stands on the log that its records do not have."),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.sequence.Describe(ch)
	m.owed.Describe(ch)
	m.mismatch.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.sequence.Collect(ch)
	m.owed.Collect(ch)
	m.mismatch.Collect(ch)
}
