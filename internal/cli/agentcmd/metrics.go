package agentcmd

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleetfold/fleetfold/pkg/agent"
)

// metrics reads an agent each time it is asked. It is a prometheus.Collector.
type metrics struct{ of *agent.Agent }

var (
	heartbeats = prometheus.NewDesc("fleetfold_heartbeats_total", "Heartbeats that the server acknowledged.", nil, nil)
	failures   = prometheus.NewDesc("fleetfold_heartbeat_failures_total", "Heartbeats that the server did not acknowledge.", nil, nil)
	notAfter   = prometheus.NewDesc("fleetfold_credential_not_after_seconds", "End of the credential as a Unix time; left out while the node holds none.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- heartbeats
	ch <- failures
	ch <- notAfter
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	beats := m.of.Heartbeats()
	ch <- prometheus.MustNewConstMetric(heartbeats, prometheus.CounterValue, float64(beats.Acknowledged))
	ch <- prometheus.MustNewConstMetric(failures, prometheus.CounterValue, float64(beats.Failed))
	if end, ok := m.of.NotAfter(); ok {
		ch <- prometheus.MustNewConstMetric(notAfter, prometheus.GaugeValue, float64(end.Unix()))
	}
}
