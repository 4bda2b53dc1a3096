package handlers

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// What became of a request.
const (
	resultIssued    = "issued"
	resultRepeated  = "repeated"
	resultConfirmed = "confirmed"
	resultRefused   = "refused"
)

// RenewalMetrics counts requests of nodes. It is a prometheus.Collector.
type RenewalMetrics struct{ requests, reported *prometheus.CounterVec }

// NewRenewalMetrics returns metrics that stand at zero.
func NewRenewalMetrics() *RenewalMetrics {
	return &RenewalMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "fleetfold", Name: "renewal_requests_total",
			Help: "Requests of nodes for another credential, by result (issued, repeated, confirmed, refused) and the reason of a refusal.",
		}, []string{"result", "reason"}),
		reported: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "fleetfold", Name: "refusals_reported_total",
			Help: "What nodes refused and reported to this executor, by channel (post, file) and reason.",
		}, []string{"channel", "reason"}),
	}
}

func (m *RenewalMetrics) report(channel string, reason fleet.Reason, n uint64) {
	m.reported.WithLabelValues(channel, string(reason)).Add(float64(n))
}

func (m *RenewalMetrics) count(result string, reason fleet.Reason) {
	m.requests.WithLabelValues(result, string(reason)).Inc()
}

// Describe implements prometheus.Collector.
func (m *RenewalMetrics) Describe(ch chan<- *prometheus.Desc) {
	m.requests.Describe(ch)
	m.reported.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *RenewalMetrics) Collect(ch chan<- prometheus.Metric) {
	m.requests.Collect(ch)
	m.reported.Collect(ch)
}
