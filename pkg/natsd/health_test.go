package natsd_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// What eventlog reads of servers that are not set as the embedded one is. These
// tests are here because no other package may run such a server.

// configured starts a server from a configuration file.
func configured(t *testing.T, text string) *server.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats-server.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.StoreDir, o.NoSigs, o.NoLog = t.TempDir(), true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("server is not ready")
	}
	return s
}

func connect(t *testing.T, s *server.Server, user string, replicas int) *eventlog.Bus {
	t.Helper()
	u, err := url.Parse(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		u.User = url.UserPassword(user, user)
	}
	b, err := eventlog.Connect(t.Context(), eventlog.Options{URL: u.String(), Replicas: replicas})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestAnAccountThatMayAskTheServersIsAnswered(t *testing.T) {
	s := configured(t, `
server_name: s1
listen: "127.0.0.1:-1"
jetstream { sync_interval: "1m" }
system_account: SYS
accounts {
  SYS { users: [{user: sys, password: sys}], exports: [{service: "$SYS.REQ.SERVER.PING.VARZ", response_type: stream, accounts: [FLEET]}] }
  FLEET {
    jetstream { max_store: 1000000, max_streams: 10 }
    users: [{user: fleet, password: fleet}]
    imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.VARZ"}}]
  }
  OTHER { jetstream: enabled, users: [{user: other, password: other}] }
}`)
	for _, user := range []string{"sys", "fleet"} {
		got, err := connect(t, s, user, 1).AskServers(t.Context())
		if err != nil || len(got) != 1 || got[0].Name != "s1" || !got[0].JetStream || got[0].SyncAlways || got[0].SyncInterval != time.Minute {
			t.Errorf("%s is told %+v, %v", user, got, err)
		}
	}
	if got, err := connect(t, s, "other", 1).AskServers(t.Context()); !errors.Is(err, eventlog.ErrNoSystem) {
		t.Errorf("an account without that right is told %+v, %v", got, err)
	}
	limits, err := connect(t, s, "fleet", 1).AccountLimits(t.Context())
	if err != nil || len(limits) != 2 || limits[0].Max != 1_000_000 || limits[1].Max != 10 || limits[1].Used != 0 {
		t.Errorf("limits %+v, %v", limits, err)
	}
}

// cluster is three servers that know each other's ports.
func cluster(t *testing.T) []*server.Server {
	t.Helper()
	var ports [3]int
	var routes []string
	for i := range ports {
		ports[i] = port.Hold(t)
		routes = append(routes, "nats://"+port.At(ports[i]))
	}
	var all []*server.Server
	for i, at := range ports {
		all = append(all, configured(t, fmt.Sprintf(`
server_name: s%d
listen: "127.0.0.1:-1"
jetstream { sync_interval: always }
cluster { name: three, listen: "127.0.0.1:%d", routes: [%s] }`, i, at, strings.Join(routes, ", "))))
	}
	return all
}

func TestReplicasOfACluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	servers := cluster(t)
	bus := connect(t, servers[0], "", 3)
	for err := errors.New("not tried"); err != nil; {
		// What is asked before the cluster has a leader is never answered.
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		err = bus.EnsureStreams(once)
		cancel()
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	log := logOf(ctx, t, bus, func(h eventlog.StreamHealth) bool {
		return len(h.Followers) == 2 && h.Followers[0].Current && h.Followers[1].Current
	})
	if log.Cluster != "three" || log.Replicas != 3 || log.Leader == "" || len(log.Wrong) > 0 {
		t.Errorf("log of a cluster: %+v", log)
	}
	away := "s1"
	if log.Leader == away {
		away = "s2" // a log without its leader has nobody to ask
	}
	for _, s := range servers {
		if s.Name() == away {
			s.Shutdown()
		}
	}
	logOf(ctx, t, bus, func(h eventlog.StreamHealth) bool {
		for _, f := range h.Followers {
			if f.Name == away {
				return f.Offline || !f.Current
			}
		}
		return false
	})
}

// logOf asks until the log is as wanted.
func logOf(ctx context.Context, t *testing.T, bus *eventlog.Bus, want func(eventlog.StreamHealth) bool) eventlog.StreamHealth {
	t.Helper()
	for {
		h := bus.CheckStreams(ctx)[0]
		if h.Err == nil && want(h) {
			return h
		}
		if ctx.Err() != nil {
			t.Fatalf("the log stayed %+v", h)
		}
	}
}
