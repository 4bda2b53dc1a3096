package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// freePorts is the first of n free ports in a row.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first, _ := freePort(t)
		free := true
		for port := first; port < first+n && free; port++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if free = err == nil; free {
				free = l.Close() == nil
			}
		}
		if free {
			return first
		}
	}
	t.Fatalf("there are no %d free ports in a row", n)
	return 0
}

// secureCluster are three servers started from the configurations that
// operators get, with the flags that clients need to reach all of them.
type secureCluster struct {
	bus     string
	routes  int
	servers []*natsd.Server
	said    *serverLog
}

func startSecureCluster(t *testing.T, mode busconf.Mode, inventory string) *secureCluster {
	t.Helper()
	c := &secureCluster{bus: filepath.Join(t.TempDir(), "bus"), routes: freePorts(t, 3), said: &serverLog{}}
	out, err := fleetfold(t.Context(), "nats", "config", "--mode", string(mode), "--inventory", inventory, "--out", c.bus,
		"--servers", "3", "--cluster-port", strconv.Itoa(c.routes), "--listen", "127.0.0.1:4222").CombinedOutput()
	if err != nil {
		t.Fatalf("nats config: %v\n%s", err, out)
	}
	for i := range 3 {
		server, err := natsd.Start(natsd.Options{
			Dir: t.TempDir(), Port: natsd.RandomPort, MonitorPort: natsd.RandomPort, Logger: zerolog.New(c.said),
			Config: busdir.ServerConfigFile(c.bus, fmt.Sprintf("nats-%d", i+1)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Shutdown)
		c.servers = append(c.servers, server)
	}
	return c
}

func (c *secureCluster) as(folder string, args ...string) []string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.URL())
	}
	return append(args, "--nats="+strings.Join(urls, ","), "--identity="+folder)
}

func (c *secureCluster) service(r busconf.Role, args ...string) []string {
	return c.as(busdir.Service(c.bus, r), args...)
}

func (c *secureCluster) monitors() (flags []string) {
	for _, s := range c.servers {
		flags = append(flags, "--monitor="+s.MonitorURL())
	}
	return flags
}

func TestAFleetConvergesOnASecureCluster(t *testing.T) {
	for _, mode := range []busconf.Mode{busconf.Certificates, busconf.Tokens} {
		t.Run(string(mode), func(t *testing.T) { convergesOnACluster(t, mode) })
	}
}

func convergesOnACluster(t *testing.T, mode busconf.Mode) {
	dir := t.TempDir()
	file := filepath.Join(dir, "fleet.yaml")
	if err := os.WriteFile(file, []byte(fleetOf(true, "a", "b", "rack/c.1")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startSecureCluster(t, mode, file)
	process(t, "planner", c.service(busconf.Planner, append(c.monitors(), "--inventory", file, "--lease", "15s")...)...)
	process(t, "executor", c.service(busconf.Executor, "--dir", filepath.Join(dir, "executor"),
		"--attest-ca", filepath.Join(busdir.Service(c.bus, busconf.Executor), busdir.CAFile))...)
	for _, id := range []fleet.NodeID{"a", "b", "rack/c.1"} {
		process(t, "node-agent", c.as(busdir.Node(c.bus, id), "--id", string(id), "--dir", filepath.Join(dir, "nodes", string(id)), "--lease", "15s")...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := fleetfold(ctx, c.service(busconf.Operator, "wait", "--for", "converged", "--timeout", "2m")...).CombinedOutput(); err != nil {
		t.Fatalf("wait: %v\n%s", err, out)
	}
	doctor := func(r busconf.Role, want string) {
		t.Helper()
		out, err := fleetfold(ctx, c.service(r, append([]string{"doctor"}, c.monitors()...)...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("doctor as %s: %v\n%s", r, err, out)
		}
	}
	doctor(busconf.Operator, "Servers nats-1, nats-2 and nats-3 sync every message")
	if v := c.said.violations(); len(v) > 0 {
		t.Errorf("somebody did what they may not:\n%s", strings.Join(v, ""))
	}
	// The planner may ask what operators may not.
	doctor(busconf.Planner, "3 replicas of each stream, and all keep up")
	c.nobodyElseIsAServer(t)
}

// A certificate of the bus opens the door for clients, and not that for servers,
// behind which everything is allowed.
func (c *secureCluster) nobodyElseIsAServer(t *testing.T) {
	t.Helper()
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(c.routes))
	own := filepath.Join(c.bus, "servers", "nats-1")
	if err := greetRoute(at, filepath.Join(own, busconf.RouteCertFile), filepath.Join(own, busconf.RouteKeyFile)); err != nil {
		t.Errorf("a server of the cluster was kept out: %v", err)
	}
	planner := cli.InFolder(busdir.Service(c.bus, busconf.Planner))
	for name, pair := range map[string][2]string{
		"the planner":                        {planner.Cert, planner.Key},
		"the certificate for clients to see": {filepath.Join(own, busconf.CertFile), filepath.Join(own, busconf.KeyFile)},
		"somebody without a certificate":     {},
	} {
		if err := greetRoute(at, pair[0], pair[1]); err == nil {
			t.Errorf("%s was taken for a server", name)
		}
	}
}

// greetRoute connects as a server would, and waits for the word that follows
// once the certificate has been taken.
func greetRoute(at, cert, key string) error {
	conn, err := net.DialTimeout("tcp", at, 30*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	config := &tls.Config{InsecureSkipVerify: true}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	// Both sides of a route speak first; TLS 1.3 tells of a refusal at the first read.
	secure := tls.Client(conn, config)
	if _, err := fmt.Fprint(secure, "CONNECT {\"verbose\":false,\"tls_required\":true,\"name\":\"x\",\"cluster\":\"fleetfold\"}\r\nINFO {\"server_id\":\"x\"}\r\nPING\r\n"); err != nil {
		return err
	}
	heard := make([]byte, 4<<10)
	n, err := secure.Read(heard)
	if err == nil && n == 0 {
		return fmt.Errorf("nothing was said")
	}
	return err
}
