package planner_test

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

// door leads to a server until it is shut, which cuts whoever went through.
type door struct {
	server *natsd.Server
	mu     sync.Mutex
	shut   bool
	open   []net.Conn
}

func (d *door) InProcessConn() (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return nil, errors.New("the door is shut")
	}
	c, err := d.server.InProcessConn()
	d.open = append(d.open, c)
	return c, err
}

func (d *door) set(shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = shut
	for _, c := range d.open {
		c.Close()
	}
	d.open = nil
}

// Leases that ended while nobody could hear the nodes say nothing of the nodes:
// they have a whole lease to be heard again, as after a start.
func TestNobodyIsLostWithinALeaseOfAnOutage(t *testing.T) {
	s := newSite(t)
	d := &door{server: s.server}
	s.plannerThrough(d)
	n := s.node("n1")
	s.beatFor(n, time.Second)
	s.next(events.TypeNodeAppeared)

	d.set(true)
	s.awaitLeaseEnd(n)
	back := time.Now()
	d.set(false)
	lost := s.next(events.TypeNodeLost)
	if d := lost.Event.Data.(*events.NodeLost); d.Reason != planner.LostNoLease || lost.Time.Before(back.Add(time.Second)) {
		t.Errorf("lost for %s %s after the outage", d.Reason, lost.Time.Sub(back))
	}

	// And who is heard again in time was never gone.
	s.beatFor(n, time.Second)
	again := s.next(events.TypeNodeAppeared).Sequence
	d.set(true)
	s.awaitLeaseEnd(n)
	s.beat(n)
	d.set(false)
	s.beat(s.node("n2"))
	if got := s.next(events.TypeNodeAppeared).Event.Node; got != "n2" {
		t.Errorf("%s appeared after the outage", got)
	}
	if last, err := s.log.LastOn(s.ctx, s.bus.Subjects().Node("n1")); err != nil || last != again {
		t.Errorf("something is said of n1 at %d, %v", last, err)
	}
}

// awaitLeaseEnd returns when the server has ended the node's lease.
func (s *site) awaitLeaseEnd(n *node) {
	s.t.Helper()
	sightings, err := s.connect().Sightings(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer sightings.Close()
	for {
		seen, _, err := sightings.Next(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, one := range seen {
			if one.Node == n.id && one.Heartbeat == nil {
				return
			}
		}
	}
}
