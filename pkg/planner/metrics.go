package planner

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Metrics counts what a planner does. It is a prometheus.Collector.
type Metrics struct {
	facts, actions, refused  *prometheus.CounterVec
	unfit                    *prometheus.CounterVec
	plans, conflicts         prometheus.Counter
	sequence, wanted, strict prometheus.Gauge
	blocked                  prometheus.Gauge
	held, nodes, stuck       *prometheus.GaugeVec
	durable                  *prometheus.GaugeVec // has a value once it is known
}

// NewMetrics returns metrics that stand at zero.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "fleetfold", Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "fleetfold", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fleetfold", Name: name, Help: help})
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "fleetfold", Name: name, Help: help}, labels)
	}
	return &Metrics{
		facts:     counters("facts_total", "Facts this planner appended, by event type.", "type"),
		actions:   counters("actions_published_total", "Actions this planner published, by type.", "type"),
		refused:   counters("messages_refused_total", "What was refused at the border and, with channel bus, by the NATS server, by channel and reason.", "channel", "reason"),
		plans:     counter("plans_published_total", "Plans this planner published."),
		conflicts: counter("append_conflicts_total", "Appends that lost a race and were decided again."),
		unfit:     counters("log_unfit_total", "Messages of the log that do not fit, by reason.", "reason"),
		sequence:  gauge("log_sequence", "Sequence of the log that has been folded."),
		wanted:    gauge("plan_actions", "Actions that the last decision wants, published or held."),
		blocked:   gauge("planner_blocked", "1 while the planner cannot decide or publish; /readyz and its log say why."),
		held:      gauges("held_actions", "Actions that the last decision holds, by reason.", "reason"),
		nodes:     gauges("nodes", "Observed nodes, by state: observed, present, signing.", "state"),
		stuck:     gauges("stuck_nodes", "Nodes whose action keeps failing, by action type; 1 for the fleet itself.", "action_type"),
		strict:    gauge("strict_enforced", "1 while receivers refuse unsigned posts."),
		durable:   gauges("durability_ok", "1 if the servers sync what they acknowledge and a cluster keeps 3 replicas of the log, 0 if not, as found at the start. Absent when it could not be known."),
	}
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.facts, m.actions, m.refused, m.plans, m.conflicts, m.unfit, m.sequence, m.wanted, m.held, m.nodes, m.stuck, m.strict,
		m.blocked, m.durable,
	}
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

// RefusedOnBus counts what the NATS server refused, and the planner heard of.
func (m *Metrics) RefusedOnBus(reason fleet.Reason, n uint64) {
	m.refused.WithLabelValues(events.RefusedBus, string(reason)).Add(float64(n))
}

// begin counts what the fold begins with.
func (m *Metrics) begin(st *projection.State) {
	m.sequence.Set(float64(st.Sequence()))
	// A snapshot counts them, and does not say why they did not fit.
	m.unfit.WithLabelValues("before_snapshot").Add(float64(st.Unfit()))
}

func (m *Metrics) record(r eventlog.Record) {
	m.sequence.Set(float64(r.Sequence))
	if r.Err != nil {
		m.unfit.WithLabelValues(string(reasonOf(r.Err))).Inc()
	}
}

// Durable records whether what is acknowledged survives a power cut and, in a
// cluster, the loss of a server. Whoever does not know leaves it.
func (m *Metrics) Durable(ok bool) {
	value := 0.0
	if ok {
		value = 1
	}
	m.durable.WithLabelValues().Set(value)
}

func (m *Metrics) account(wanted int, held map[fleet.Reason]int) {
	m.wanted.Set(float64(wanted))
	m.held.Reset()
	for reason, n := range held {
		m.held.WithLabelValues(string(reason)).Set(float64(n))
	}
}

func (m *Metrics) stall(byType map[fleet.ActionType]int) {
	for _, t := range fleet.ActionTypes {
		m.stuck.WithLabelValues(string(t)).Set(float64(byType[t]))
	}
}

func (m *Metrics) observe(st *projection.State) {
	observed, present, signing := st.Counts()
	m.nodes.WithLabelValues("observed").Set(float64(observed))
	m.nodes.WithLabelValues("present").Set(float64(present))
	m.nodes.WithLabelValues("signing").Set(float64(signing))
	m.strict.Set(0)
	if st.StrictEnforced() {
		m.strict.Set(1)
	}
}
