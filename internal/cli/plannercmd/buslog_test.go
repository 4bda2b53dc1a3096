package plannercmd

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// refusedLine is one of a server, as it writes it into its file.
const refusedLine = `[7] 2026/11/24 19:57:35.000001 [ERR] 10.0.0.7:40000 - cid:9 - "v1.55.0:go:agent" - "NODES/user:spiffe://fleet.example/n1" - Publish Violation - Subject "fleet.presence.n2"` + "\n"

func TestThePlannerTellsWhomTheServerRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "nats.log")
	p := startOn(ctx, t, serve(t, natsd.Options{}), oneNode, "--bus-log", file)
	writing, written := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- keepWriting(writing, file) }() // it begins to read at some time from now on
	e := p.next(events.TypeMessageRefused)
	written()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	d := e.Data.(*events.MessageRefused)
	if e.Source != events.SourcePlanner || e.Node != "n1" || d.Channel != events.RefusedBus || d.Reason != "permission_publish" || d.Count == 0 || d.Detail != `may not publish to "fleet.presence.n2"` {
		t.Errorf("%s says %+v", e.Source, d)
	}
	if _, metrics := clitest.Get(ctx, t, p.url+"/metrics"); !strings.Contains(metrics, `fleetfold_messages_refused_total{channel="bus",reason="permission_publish"}`) {
		t.Errorf("metrics:\n%s", metrics)
	}
	p.stop()
}

// A stream answers to nobody but the sender; the planner tells of it all the same.
func TestThePlannerTellsOfHeadersThatAStreamRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := serve(t, natsd.Options{})
	p := startOn(ctx, t, server, oneNode)
	attacker, err := eventlog.Connect(ctx, eventlog.Options{InProcess: server})
	if err != nil {
		t.Fatal(err)
	}
	defer attacker.Close()
	told := make(chan *events.Event)
	go func() { told <- p.next(events.TypeMessageRefused) }()
	for {
		answer, err := attacker.Post(ctx, events.Message{Subject: "fleet.presence.n1", Header: map[string][]string{"Nats-Rollup": {"all"}}})
		if err != nil || !strings.Contains(string(answer.Data), "rollup not permitted") {
			t.Fatalf("the stream says %s, %v", answer.Data, err)
		}
		select {
		case e := <-told:
			if d := e.Data.(*events.MessageRefused); e.Node != "n1" || d.Channel != events.RefusedBus || d.Reason != eventlog.ReasonForbiddenHeader || !strings.Contains(d.Detail, `"Nats-Rollup" on "fleet.presence.n1"`) {
				t.Errorf("the log says %+v", d)
			}
			p.stop()
			return
		case <-time.After(50 * time.Millisecond): // it begins to watch at some time from now on
		}
	}
}

func keepWriting(ctx context.Context, path string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := file.WriteString(refusedLine); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func TestALogOfTheServerThatCannotBeReadIsSaid(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := startOn(ctx, t, serve(t, natsd.Options{}), oneNode, "--bus-log", t.TempDir())
	p.log.Wait(ctx, t, "cannot read the log of the NATS server: what it refuses is not recorded")
	p.stop()

	var errs bytes.Buffer
	cmd := New()
	cmd.SetArgs([]string{"--nats", "nats://127.0.0.1:1", "--bus-log", filepath.Join(t.TempDir(), "none", "x")})
	cmd.SetOut(io.Discard)
	cmd.SetErr(&errs)
	if code := cli.Run(ctx, cmd); code != cli.ExitUsage || !strings.Contains(errs.String(), "is no folder") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}
