package logtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func (s *suite) fidelity() {
	before := time.Now().Add(-time.Hour)
	e := Appeared("region/nyc/n.1", "ü%\" session")
	s.append(eventlog.Entry{Event: e, Fence: eventlog.LastInLog(0)})
	want, err := events.Encode(s.log.Subjects(), e)
	if err != nil {
		s.Fatal(err)
	}
	for name, r := range map[string]eventlog.Record{"read": s.read(0, 1)[0], "follow": s.take(s.cursor(0), 1)[0]} {
		m := r.Message
		if m.Subject != want.Subject || string(m.Data) != string(want.Data) {
			s.Errorf("%s: message %s %q, want %s %q", name, m.Subject, m.Data, want.Subject, want.Data)
		}
		if !maps.EqualFunc(m.Header, want.Header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			s.Errorf("%s: header %q, want %q", name, m.Header, want.Header)
		}
		if r.Event == nil || r.Event.Node != e.Node || r.Event.ID != e.ID {
			s.Errorf("%s: event %+v, error %v", name, r.Event, r.Err)
		}
		if r.Time.Before(before) || r.Time.Location() != time.UTC {
			s.Errorf("%s: stored at %s", name, r.Time)
		}
	}
}

func (s *suite) pages() {
	const n = 1100
	s.append(entries(eventlog.MaxBatch)...)
	s.append(entries(n - eventlog.MaxBatch)...)
	var after uint64
	for _, want := range []int{300, 300, 300, 200, 0} {
		records := s.read(after, 300)
		if len(records) != want {
			s.Fatalf("read %d records behind %d, want %d", len(records), after, want)
		}
		s.contiguous(records, after)
		after += uint64(len(records))
	}
	records := s.read(0, 5000)
	if len(records) != n {
		s.Fatalf("read %d records, want %d", len(records), n)
	}
	s.contiguous(records, 0)
	if len(s.read(0, 0)) != 0 || len(s.read(n+5, 10)) != 0 {
		s.Error("read of nothing returned records")
	}
}

func (s *suite) lastOn() {
	s.append(entry("a", "1"), entry("b", "1"), entry("a", "2"), entry("c", "1"))
	for id, want := range map[fleet.NodeID]uint64{"a": 3, "b": 2, "c": 4, "d": 0} {
		got, err := s.log.LastOn(s.ctx, s.log.Subjects().Node(id))
		if err != nil || got != want {
			s.Errorf("last on %s: %d, %v; want %d", id, got, err, want)
		}
	}
}

func (s *suite) follow() {
	s.append(entries(5)...)
	c := s.cursor(0)
	s.contiguous(s.take(c, 5), 0)
	for i := range uint64(3) {
		s.append(entry("live", fmt.Sprint(i)))
		records := s.take(c, 1)
		s.contiguous(records, 5+i)
		if since := time.Since(c.Confirmed()); since < -time.Hour || since > time.Hour {
			s.Errorf("confirmed %s ago", since)
		}
	}
	s.append(entries(500)...)
	s.contiguous(s.take(c, 500), 8)
}

func (s *suite) followMiddle() {
	s.append(entries(10)...)
	middle, end := s.cursor(6), s.cursor(10)
	s.contiguous(s.take(middle, 4), 6)
	s.append(entry("live", "1"))
	s.contiguous(s.take(middle, 1), 10)
	s.contiguous(s.take(end, 1), 10)
}

func (s *suite) followMany() {
	const cursors, batches, size = 4, 20, 7
	var wg sync.WaitGroup
	for range cursors {
		c := s.cursor(0)
		wg.Go(func() {
			var after uint64
			for after < batches*size {
				records, err := c.Next(s.ctx)
				if err != nil {
					s.Errorf("next behind %d: %v", after, err)
					return
				}
				for _, r := range records {
					if after++; r.Sequence != after {
						s.Errorf("sequence %d, want %d", r.Sequence, after)
						return
					}
				}
			}
		})
	}
	for range batches {
		s.append(entries(size)...)
	}
	wg.Wait()
}

func (s *suite) cancel() {
	c := s.cursor(0)
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error)
	go func() {
		_, err := c.Next(ctx)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		s.Fatalf("next: %v, want context canceled", err)
	}
	s.append(entry("a", "1"))
	s.contiguous(s.take(c, 1), 0)
}

func (s *suite) closed() {
	c := s.cursor(0)
	c.Close()
	c.Close()
	if _, err := c.Next(s.ctx); err == nil || s.ctx.Err() != nil {
		s.Fatalf("next of a closed cursor: %v", err)
	}
}

func (s *suite) misfit() {
	raw, ok := s.log.(RawAppender)
	if !ok {
		s.Fatalf("%T has no AppendRaw: the contract cannot be checked", s.log)
	}
	s.append(entry("a", "1"))
	misfits := []events.Message{
		{Subject: s.log.Subjects().Plan()},
		{Subject: s.log.Subjects().Plan(), Data: []byte("not an event")},
		{Subject: s.log.Subjects().Plan(), Header: map[string][]string{"ce-type": {"unheard.of"}}, Data: []byte("{}")},
	}
	for i, m := range misfits {
		if seq, err := raw.AppendRaw(s.ctx, m); err != nil || seq != uint64(i+2) {
			s.Fatalf("append raw: %d, %v", seq, err)
		}
	}
	s.append(entry("b", "1"))
	n := len(misfits) + 2
	for name, records := range map[string][]eventlog.Record{"read": s.read(0, 10), "follow": s.take(s.cursor(0), n)} {
		if len(records) != n {
			s.Fatalf("%s: %d records", name, len(records))
		}
		s.contiguous(records[:1], 0)
		s.contiguous(records[n-1:], uint64(n-1))
		for i, r := range records[1 : n-1] {
			var refusal *events.Refusal
			if r.Event != nil || !errors.As(r.Err, &refusal) {
				s.Errorf("%s: record %d has event %v, error %v", name, r.Sequence, r.Event, r.Err)
			}
			if r.Sequence != uint64(i+2) || string(r.Message.Data) != string(misfits[i].Data) || r.Message.Subject != misfits[i].Subject {
				s.Errorf("%s: record %d is %+v", name, r.Sequence, r.Message)
			}
		}
	}
}

func (s *suite) beyond() {
	s.append(entry("a", "1"))
	if _, err := s.log.Follow(s.ctx, 2); !errors.Is(err, eventlog.ErrGap) {
		s.Fatalf("follow behind 2 of 1: %v, want ErrGap", err)
	}
}

func (s *suite) ended() {
	s.append(entry("a", "1"))
	c := s.cursor(1)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, appended := s.log.Append(ctx, entry("b", "1"))
	_, read := s.log.Read(ctx, 0, 1)
	_, followed := s.log.Follow(ctx, 0)
	_, last := s.log.Last(ctx)
	_, next := c.Next(ctx)
	for name, err := range map[string]error{"append": appended, "read": read, "follow": followed, "last": last, "next": next} {
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s: %v, want context canceled", name, err)
		}
	}
}
