package executor

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts outcomes; its Observe fits Config.Observe. It is a
// prometheus.Collector.
type Metrics struct {
	outcomes *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics returns metrics that stand at zero.
func NewMetrics() *Metrics {
	return &Metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "fleetfold", Name: "action_outcomes_total",
			Help: "Deliveries of actions that ended, by action type, outcome and reason.",
		}, []string{"action_type", "outcome", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "fleetfold", Name: "action_duration_seconds",
			Help:    "How long actions ran that succeeded or failed, by action type.",
			Buckets: []float64{.005, .02, .1, .5, 1, 2, 5, 10, 30, 60, 300},
		}, []string{"action_type"}),
	}
}

// Observe counts one outcome.
func (m *Metrics) Observe(o Outcome) {
	kind := string(o.Flight.Action.Type)
	m.outcomes.WithLabelValues(kind, string(o.Kind), string(o.Reason)).Inc()
	if o.Kind == KindSucceeded || o.Kind == KindFailed {
		m.duration.WithLabelValues(kind).Observe(o.Duration.Seconds())
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.outcomes.Describe(ch)
	m.duration.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.outcomes.Collect(ch)
	m.duration.Collect(ch)
}
