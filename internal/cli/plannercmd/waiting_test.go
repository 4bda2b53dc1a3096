package plannercmd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// begin runs a planner for a server on a port; ended yields its exit code.
func begin(ctx context.Context, t *testing.T, on int) (log *clitest.Log, url string, ended <-chan int, stop func()) {
	t.Helper()
	log = new(clitest.Log)
	cmd := New()
	cmd.SetErr(log)
	cmd.SetArgs([]string{"--nats", fmt.Sprintf("nats://127.0.0.1:%d", on), "--listen", "127.0.0.1:0"})
	ctx, stop = context.WithCancel(ctx)
	done := make(chan int, 1)
	go func() { done <- cli.Run(ctx, cmd) }()
	url = fmt.Sprintf("http://%s", log.Wait(ctx, t, "serving health and metrics")["address"])
	return log, url, done, stop
}

func TestAPlannerWaitsForItsServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	on := port.Hold(t)
	log, url, ended, stop := begin(ctx, t, on)
	defer stop()
	log.Wait(ctx, t, "waiting for the server")
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/healthz": {200, "ok"},
		"/readyz":  {503, "waiting for the server"},
		"/metrics": {200, "fleetfold_plans_published_total 0"},
	} {
		if code, text := clitest.Get(ctx, t, url+path); code != want.code || !strings.Contains(text, want.text) {
			t.Errorf("while it waits %s answers %d %s", path, code, text)
		}
	}
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: on, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	log.Wait(ctx, t, "planner started")
	for code := 0; code != 200; {
		code, _ = clitest.Get(ctx, t, url+"/readyz")
	}
	if n := strings.Count(log.String(), "waiting for the server"); n != 1 {
		t.Errorf("it says %d times that it waits:\n%s", n, log)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestAPlannerThatWaitsEndsWhenItIsTold(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	log, _, ended, stop := begin(ctx, t, port.Hold(t))
	log.Wait(ctx, t, "waiting for the server")
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
}
