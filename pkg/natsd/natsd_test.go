package natsd_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestMain(m *testing.M) { leak.Main(m) }

func start(t *testing.T, o natsd.Options) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// greeting reads what a server says first.
func greeting(t *testing.T, c net.Conn, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestListensOnLoopbackOnly(t *testing.T) {
	s := start(t, natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Logger: zerolog.Nop()})
	address, ok := strings.CutPrefix(s.URL(), "nats://127.0.0.1:")
	if !ok || address == "4222" {
		t.Fatalf("url %s", s.URL())
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+address)
	if got := greeting(t, c, err); !strings.Contains(got, `"jetstream":true`) {
		t.Errorf("greeting %s", got)
	}
	if got := inProcess(t, s); !strings.HasPrefix(got, "INFO ") {
		t.Errorf("greeting %s", got)
	}
}

func inProcess(t *testing.T, s *natsd.Server) string {
	t.Helper()
	c, err := s.InProcessConn()
	return greeting(t, c, err)
}

func TestWithoutAListener(t *testing.T) {
	s := start(t, natsd.Options{Dir: t.TempDir()})
	if s.URL() != "" {
		t.Errorf("url %s", s.URL())
	}
	if got := inProcess(t, s); !strings.HasPrefix(got, "INFO ") {
		t.Errorf("greeting %s", got)
	}
	s.Shutdown()
	s.Shutdown()
	if _, err := s.InProcessConn(); err == nil {
		t.Error("a server that is gone took a connection")
	}
}

// Start on the folder of a server that was shut down finds its files closed.
func TestStartsAgainOnTheSameFolder(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		start(t, natsd.Options{Dir: dir, Port: natsd.RandomPort}).Shutdown()
	}
}

func TestWhatKeepsItFromStarting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().(*net.TCPAddr).Port
	for name, tt := range map[string]struct {
		options natsd.Options
		want    string
	}{
		"no folder":               {natsd.Options{}, "no directory"},
		"a file for a folder":     {natsd.Options{Dir: file}, file},
		"a cluster without names": {natsd.Options{Dir: t.TempDir(), Cluster: &natsd.Cluster{Port: natsd.RandomPort}}, "need a name"},
		"no port for routes":      {natsd.Options{Dir: t.TempDir(), Cluster: &natsd.Cluster{Name: "c", Server: "s"}}, "needs a port for routes"},
		"a port that is taken":    {natsd.Options{Dir: t.TempDir(), Port: busy}, "address already in use"},
	} {
		var log bytes.Buffer
		tt.options.Logger = zerolog.New(zerolog.SyncWriter(&log))
		s, err := natsd.Start(tt.options)
		if err == nil {
			s.Shutdown()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q; log:\n%s", name, err, tt.want, log.String())
		}
	}
}

// A server greets with the name of its cluster, and by it a client knows that
// there may be others.
func TestAServerOfAClusterSaysSo(t *testing.T) {
	one, two := port.Hold(t), port.Hold(t)
	routes := []string{port.At(one), port.At(two)}
	for name, at := range map[string]int{"one": one, "two": two} {
		s := start(t, natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort, Logger: zerolog.Nop(), Cluster: &natsd.Cluster{
			Name: "pair", Server: name, Port: at, Routes: routes,
		}})
		if got := inProcess(t, s); !strings.Contains(got, `"cluster":"pair"`) || !strings.Contains(got, `"server_name":"`+name+`"`) {
			t.Errorf("greeting %s", got)
		}
	}
}

func TestNoticesOfTheServerAreDebugLines(t *testing.T) {
	var log bytes.Buffer
	s := start(t, natsd.Options{Dir: t.TempDir(), Logger: zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.DebugLevel)})
	s.Shutdown()
	if !strings.Contains(log.String(), `"level":"debug"`) || strings.Contains(log.String(), `"level":"info"`) {
		t.Errorf("log:\n%s", log.String())
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "natsd")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := natsd.Start(natsd.Options{Dir: dir, Port: natsd.RandomPort, Logger: zerolog.Nop()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Shutdown()
	fmt.Println(strings.HasPrefix(s.URL(), "nats://127.0.0.1:"))
	// Output: true
}
