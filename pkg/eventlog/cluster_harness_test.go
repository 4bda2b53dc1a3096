package eventlog

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// serverEnv has the options of a server that the test binary is to be.
const serverEnv = "EVENTLOG_TEST_SERVER"

// beServer runs a server until it is killed, or its input ends because the test
// that started it did.
func beServer(options string) error {
	var o natsd.Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return err
	}
	o.Logger = zerolog.Nop()
	s, err := natsd.Start(o)
	if err != nil {
		return err
	}
	defer s.Shutdown()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// cluster is three servers, each a process, so that it can be killed: a server
// that is only shut down tells its clients and the other servers.
type cluster struct {
	t       testing.TB
	names   []string
	options map[string]natsd.Options
	running map[string]*exec.Cmd
	urls    []string
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{
		t: t, names: []string{"s1", "s2", "s3"},
		options: make(map[string]natsd.Options), running: make(map[string]*exec.Cmd),
	}
	var routes []string
	for range c.names {
		routes = append(routes, port.At(port.Hold(t)))
	}
	for i, name := range c.names {
		client := port.Hold(t)
		c.urls = append(c.urls, "nats://"+port.At(client))
		_, route, _ := strings.Cut(routes[i], ":")
		at, err := strconv.Atoi(route)
		if err != nil {
			t.Fatal(err)
		}
		c.options[name] = natsd.Options{
			Dir: t.TempDir(), Port: client,
			Cluster: &natsd.Cluster{Name: "test", Server: name, Port: at, Routes: routes},
		}
	}
	return c
}

func (c *cluster) start(names ...string) {
	c.t.Helper()
	for _, name := range names {
		options, err := json.Marshal(c.options[name])
		if err != nil {
			c.t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), serverEnv+"="+string(options))
		if _, err := cmd.StdinPipe(); err != nil { // held open until the end
			c.t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			c.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			c.t.Fatal(err)
		}
		c.running[name] = cmd
		c.t.Cleanup(func() { c.kill(name) })
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			c.t.Fatalf("server %s said %q, %v", name, line, err)
		}
	}
}

// kill is kill -9. It may be called again.
func (c *cluster) kill(name string) {
	if cmd := c.running[name]; cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		c.running[name] = nil
	}
}

func (c *cluster) connect(o Options) *Bus {
	c.t.Helper()
	o.URL = strings.Join(c.urls, ",")
	b, err := Connect(c.t.Context(), o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(b.Close)
	return b
}

// until tries again and again, as whoever waits for a leader must.
func until(t testing.TB, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, requestTimeout) // an answer may be lost with its server
		err := try(once)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-ticker.C:
		}
	}
}
