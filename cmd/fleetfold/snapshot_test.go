package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// shelved is a fleet whose processes have stopped and whose folder is served.
type shelved struct {
	t    *testing.T
	ctx  context.Context
	file string
	dir  string
}

// up runs the fleet until it has converged, and returns what it said.
func (s *shelved) up() (out, said string) {
	s.t.Helper()
	cmd := fleetfold(s.ctx, "up", "--inventory", s.file, "--dir", s.dir, "--snapshot-every", "5", "--until-converged", "-o", "jsonl", "--log-level", "info")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("up: %v\n%s", err, stderr.String())
	}
	return stdout.String(), stderr.String()
}

// serve runs only the server of the fleet.
func (s *shelved) serve(use func(bus *eventlog.Bus, url string)) {
	s.t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: filepath.Join(s.dir, "jetstream"), Port: natsd.RandomPort})
	if err != nil {
		s.t.Fatal(err)
	}
	defer server.Shutdown()
	bus, err := eventlog.Connect(s.ctx, eventlog.Options{InProcess: server, Name: s.t.Name()})
	if err != nil {
		s.t.Fatal(err)
	}
	defer bus.Close()
	use(bus, server.URL())
}

// status is what the command shows and what it warns of.
func (s *shelved) status(url string) (shown, warned string) {
	s.t.Helper()
	cmd := fleetfold(s.ctx, "get", "nodes", "-o", "json", "--nats", url)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("get nodes: %v\n%s", err, stderr.String())
	}
	return stdout.String(), stderr.String()
}

// newest is the content of the newest snapshot.
func (s *shelved) newest(bus *eventlog.Bus) []byte {
	s.t.Helper()
	list, err := bus.Snapshots(s.ctx)
	if err != nil || len(list) == 0 {
		s.t.Fatalf("stored: %v, %v", list, err)
	}
	r, err := bus.OpenSnapshot(s.ctx, list[0].Name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return content
}

// only leaves nothing in the store but this.
func (s *shelved) only(bus *eventlog.Bus, content []byte) {
	s.t.Helper()
	if err := bus.DeleteSnapshots(s.ctx, 0); err != nil {
		s.t.Fatal(err)
	}
	if _, err := bus.PutSnapshot(s.ctx, 1, bytes.NewReader(content)); err != nil {
		s.t.Fatal(err)
	}
}

// spoilt are snapshots of no use, by the reason that is given for it.
func (s *shelved) spoilt(right []byte) map[string][]byte {
	s.t.Helper()
	reencode := func(change func(*projection.Still, *snapshot.Mark)) []byte {
		back, err := snapshot.Decode(bytes.NewReader(right))
		if err != nil {
			s.t.Fatal(err)
		}
		img, mark := back.State.Still(), back.Mark
		change(img, &mark)
		var b bytes.Buffer
		if _, err := snapshot.Encode(&b, img, mark); err != nil {
			s.t.Fatal(err)
		}
		return b.Bytes()
	}
	damaged, other := slices.Clone(right), slices.Clone(right)
	damaged[len(right)/2] ^= 1
	other[len("fleetfold snapshot\n")] = 9
	return map[string][]byte{
		"damaged":       damaged,
		"other_version": other,
		"ahead":         reencode(func(i *projection.Still, m *snapshot.Mark) { i.Sequence, m.Sequence = i.Sequence+99, m.Sequence+99 }),
		"foreign":       reencode(func(_ *projection.Still, m *snapshot.Mark) { m.Message = "another" }),
	}
}

// A fleet is stopped and started again: it goes on from its snapshot. With one
// that is of no use it says why and is the same fleet all the same.
func TestAFleetGoesOnFromItsSnapshot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	s := &shelved{t: t, ctx: ctx, file: filepath.Join(dir, "fleet.yaml"), dir: filepath.Join(dir, "fleet")}
	if err := os.WriteFile(s.file, []byte(fleetOf(true, "a", "b")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, said := s.up(); !strings.Contains(said, `"message":"snapshot saved"`) || !strings.Contains(said, "folding the log from its beginning") {
		t.Errorf("the first run said\n%s", said)
	}
	again, said := s.up()
	if !strings.Contains(said, "folding on from a snapshot") || strings.Contains(said, "ignored") {
		t.Errorf("the second run said\n%s", said)
	}
	if strings.Contains(again, "fleet.actions") {
		t.Errorf("the second run acted:\n%s", again)
	}

	s.serve(func(bus *eventlog.Bus, url string) {
		right := s.newest(bus)
		want, warned := s.status(url)
		if warned != "" || !strings.Contains(want, `"can_sign": true`) {
			t.Errorf("nodes %s\nwarned %q", want, warned)
		}
		for reason, content := range s.spoilt(right) {
			s.only(bus, content)
			have, warned := s.status(url)
			if have != want {
				t.Errorf("%s: nodes %s\nwant %s", reason, have, want)
			}
			if strings.Count(warned, "\n") != 1 || !strings.HasPrefix(warned, "warning: snapshot ignored ("+reason+"): ") {
				t.Errorf("%s: warned %q", reason, warned)
			}
		}
		s.only(bus, s.spoilt(right)["damaged"])
	})
	again, said = s.up()
	if !strings.Contains(said, `"reason":"damaged"`) || !strings.Contains(said, "folding the log from its beginning") {
		t.Errorf("with a damaged snapshot it said\n%s", said)
	}
	if strings.Contains(again, "fleet.actions") {
		t.Errorf("with a damaged snapshot it acted:\n%s", again)
	}
}
