package receiver

import (
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// counters by reason. A doubt about a verified sender is counted apart from one
// about an unverified.
type counters struct {
	mu      sync.Mutex
	inOrder uint64
	doubted map[fleet.Reason]uint64
	against map[fleet.Reason]uint64
}

func (c *counters) took(s Sender) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Doubt == "" {
		c.inOrder++
		return
	}
	if c.doubted == nil {
		c.doubted = make(map[fleet.Reason]uint64)
	}
	c.doubted[s.Doubt]++
}

func (c *counters) taken(s Sender) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doubted[s.Doubt]
}

func (c *counters) refused(reason fleet.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.against == nil {
		c.against = make(map[fleet.Reason]uint64)
	}
	c.against[reason]++
}

func (c *counters) refusals(reason fleet.Reason) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.against[reason]
}

func (c *counters) all() (inOrder uint64, doubted, against map[fleet.Reason]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inOrder, maps.Clone(c.doubted), maps.Clone(c.against)
}

var (
	postsDesc = prometheus.NewDesc("fleetfold_posts_received_total",
		"Posts by result: accepted (verified), warned (verified, credential lapsed after the flip), unverified (taken because the fleet is permissive, for the reason strict would refuse it), refused, or unavailable (the receiver does not know yet what to do).",
		[]string{"result", "reason"}, nil)
	strictDesc = prometheus.NewDesc("fleetfold_receiver_strict",
		"1 while unsigned posts are refused, 0 while they are taken; left out until the posture is known.", nil, nil)
	postureDesc = prometheus.NewDesc("fleetfold_receiver_posture_sequence",
		"Sequence of the log of the fact that set the posture; left out until the posture is known.", nil, nil)
)

const unavailable = "unavailable"

// resultOf tells a refusal from a receiver that cannot judge yet.
func resultOf(reason fleet.Reason) string {
	if statusOf(reason) == http.StatusServiceUnavailable {
		return unavailable
	}
	return "refused"
}

// Describe implements prometheus.Collector.
func (r *Receiver) Describe(ch chan<- *prometheus.Desc) {
	ch <- postsDesc
	ch <- strictDesc
	ch <- postureDesc
}

// Collect implements prometheus.Collector.
func (r *Receiver) Collect(ch chan<- prometheus.Metric) {
	inOrder, doubted, against := r.count.all()
	put := func(n uint64, result string, reason fleet.Reason) {
		ch <- prometheus.MustNewConstMetric(postsDesc, prometheus.CounterValue, float64(n), result, string(reason))
	}
	put(inOrder, "accepted", "")
	for _, reason := range slices.Sorted(maps.Keys(doubted)) {
		if reason == CredentialLapsed {
			put(doubted[reason], "warned", reason)
		} else {
			put(doubted[reason], "unverified", reason)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(against)) {
		put(against[reason], resultOf(reason), reason)
	}
	t := r.cfg.Source.Trust()
	if !t.Known {
		return
	}
	strict := 0.0
	if t.Posture.Strict {
		strict = 1
	}
	ch <- prometheus.MustNewConstMetric(strictDesc, prometheus.GaugeValue, strict)
	ch <- prometheus.MustNewConstMetric(postureDesc, prometheus.GaugeValue, float64(t.Posture.Sequence))
}
