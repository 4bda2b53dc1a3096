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
type RenewalMetrics struct{ requests *prometheus.CounterVec }

// NewRenewalMetrics returns metrics that stand at zero.
func NewRenewalMetrics() *RenewalMetrics {
	return &RenewalMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "fleetfold", Name: "renewal_requests_total",
		Help: "Requests of nodes for another credential, by result (issued, repeated, confirmed, refused) and the reason of a refusal.",
	}, []string{"result", "reason"})}
}

func (m *RenewalMetrics) count(result string, reason fleet.Reason) {
	m.requests.WithLabelValues(result, string(reason)).Inc()
}

// Describe implements prometheus.Collector.
func (m *RenewalMetrics) Describe(ch chan<- *prometheus.Desc) { m.requests.Describe(ch) }

// Collect implements prometheus.Collector.
func (m *RenewalMetrics) Collect(ch chan<- prometheus.Metric) { m.requests.Collect(ch) }
