package agentcmd

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

func TestMistakesAboutPosts(t *testing.T) {
	for want, args := range map[string][]string{
		"--post-every is 0s":               {"--post-every", "0s"},
		`"n2:8083" is no URL of HTTP`:      {"--posts", "http://n1:8083,n2:8083"},
		"--warn-window is -1s":             {"--warn-window", "-1s"},
		"say with --receive-as":            {"--receive", ":8083"},
		"0.0.0.0:8083 is every address":    {"--receive", "0.0.0.0:8083"},
		"[::]:8083 is every address":       {"--receive", "[::]:8083"},
		"--receive: address 8083: missing": {"--receive", "8083"},
	} {
		code, errs := run(t, t.Context(), New(), append([]string{"--id", "n1", "--dir", t.TempDir()}, args...)...)
		if code != cli.ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: code %d, %s", args, code, errs)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	code, errs := run(t, t.Context(), New(), "--id", "n1", "--dir", t.TempDir(), "--receive", taken.Addr().String())
	if code != cli.ExitFailure || !strings.Contains(errs, "error: listen for posts") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// trustBus is a commandBus that says once that the fleet is strict.
type trustBus struct{ commandBus }

func (trustBus) Trust(context.Context) (eventlog.Trusts, error) {
	return &oneTrust{text: eventlog.TrustText{Kind: eventlog.TrustPosture, Version: 1, Text: []byte(`{"strict":true,"sequence":1,"generation":1}`)}}, nil
}

type oneTrust struct {
	text eventlog.TrustText
	said atomic.Bool
}

func (o *oneTrust) Next(ctx context.Context) ([]eventlog.TrustText, error) {
	if !o.said.Swap(true) {
		return []eventlog.TrustText{o.text}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (*oneTrust) Close() {}

// An agent posts to itself: unsigned, then signed. A peer that leads on, and one
// that makes up reasons, get no further.
func TestAnAgentPostsAndTakesPosts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var led atomic.Int32
	beyond := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { led.Add(1) }))
	defer beyond.Close()
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/lead" {
			http.Redirect(w, r, beyond.URL, http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set(receiver.ReasonHeader, "made up "+r.Header.Get("Ce-Id"))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer peer.Close()
	address := port.At(port.Hold(t))

	handles := make(chan func(context.Context, *events.Event) *events.Event, 1)
	bus := trustBus{commandBus{quietBus{make(chan *events.Heartbeat, 1000)}, handles}}
	cmd := newCommand(func(context.Context, eventlog.Options) (agent.Bus, error) { return bus, nil })
	var log clitest.Log
	cmd.SetErr(&log)
	cmd.SetArgs([]string{
		"--id", "n1", "--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--receive", address, "--post-every", "5ms",
		"--posts", "http://" + address + "," + peer.URL + "/lead," + peer.URL + "/lie",
	})
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(running, cmd) }()
	url := fmt.Sprintf("http://%s/metrics", log.Wait(ctx, t, "serving health and metrics")["address"])
	until := func(line string) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, body := clitest.Get(ctx, t, url); strings.Contains(body, line) {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("never %s\n%s", line, &log)
			}
		}
	}
	until(`fleetfold_posts_sent_total{reason="unsigned",result="refused"}`)
	until(`fleetfold_posts_received_total{reason="unsigned",result="refused"}`)
	until(`fleetfold_posts_sent_total{reason="other",result="refused"}`)
	until("fleetfold_receiver_strict 1")
	enrol(t, <-handles)
	until(`fleetfold_posts_sent_total{reason="",result="accepted"}`)
	if _, body := clitest.Get(ctx, t, url); strings.Contains(body, "made up") || led.Load() != 0 {
		t.Errorf("a peer chose a name, or led us on %d times", led.Load())
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d\n%s", code, &log)
	}
	sent, received := log.Wait(ctx, t, "posts sent"), log.Wait(ctx, t, "posts received")
	if sent["accepted"] == nil || received["accepted"] != sent["accepted"] && received["accepted"] != sent["accepted"].(float64)+1 {
		t.Errorf("sent %v, received %v", sent, received)
	}
}
