package plannercmd

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestThePlannerSaysAtItsStartHowSafeTheLogIs(t *testing.T) {
	for does, c := range map[string]struct {
		options   natsd.Options
		monitor   func(*natsd.Server) string
		level     string
		why       string
		metric    string // empty: there is none
		hasAdvice bool
	}{
		"what is acknowledged is on disk": {
			natsd.Options{MonitorPort: natsd.RandomPort}, (*natsd.Server).MonitorURL,
			"info", "Server embedded syncs every message", "fleetfold_durability_ok 1", false,
		},
		"a power cut would take it back": {
			natsd.Options{MonitorPort: natsd.RandomPort, SyncInterval: time.Minute}, (*natsd.Server).MonitorURL,
			"warn", "server embedded syncs every 1m0s", "fleetfold_durability_ok 0", true,
		},
		"nobody asked": {
			natsd.Options{}, func(*natsd.Server) string { return "" },
			"info", "No server said how it writes to disk", "", true,
		},
		"the page that was named does not answer": {
			natsd.Options{}, func(*natsd.Server) string { return "http://127.0.0.1:1" },
			"warn", "1 of 1 monitoring page did not answer", "", true,
		},
	} {
		t.Run(does, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			server := serve(t, c.options)
			p := startOn(ctx, t, server, oneNode, "--monitor="+c.monitor(server))
			line := p.log.Wait(ctx, t, "durability checked")
			if why, _ := line["why"].(string); line["level"] != c.level || !strings.Contains(why, c.why) || has(line, "advice") != c.hasAdvice {
				t.Errorf("it says %v", line)
			}
			_, metrics := clitest.Get(ctx, t, p.url+"/metrics")
			if c.metric == "" && strings.Contains(metrics, "\nfleetfold_durability_ok") || !strings.Contains(metrics, c.metric) {
				t.Errorf("metrics, wanted %q:\n%s", c.metric, metrics)
			}
			p.stop()
		})
	}
}
