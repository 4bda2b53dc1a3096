package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestAnUnreachableServerIsNamedWithTheNextStep(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = Connect(t.Context(), Options{URL: "nats://me:secret@" + address})
	if !errors.Is(err, nats.ErrNoServers) {
		t.Fatalf("connect: %v", err)
	}
	if !strings.Contains(err.Error(), "nats://"+address) || errors.Is(err, ErrSettings) {
		t.Errorf("%q, of the settings: %v", err, errors.Is(err, ErrSettings))
	}
	hinted(t, err, "start a server there, or name another with --nats, NATS_URL or --context")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%q gives the password away", err)
	}
}

func hinted(t *testing.T, err error, want string) {
	t.Helper()
	var c *ConnectError
	if !errors.As(err, &c) || !strings.Contains(c.Hint(), want) || strings.Contains(err.Error(), c.Hint()) {
		t.Errorf("%v lacks the hint %q", err, want)
	}
}

func TestHintsFitTheProtocol(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = Connect(t.Context(), Options{URL: "tls://" + address})
	hinted(t, err, "start a server with TLS there")
	s := testServer(t, t.TempDir(), natsd.RandomPort)
	_, err = Connect(t.Context(), Options{URL: strings.Replace(s.URL(), "nats://", "tls://", 1)})
	hinted(t, err, "nats:// in place of tls://")
	_, hint := diagnose("nats://a", fmt.Errorf("dial: %w", nats.ErrAuthorization))
	if !strings.Contains(hint, "--creds") {
		t.Errorf("without credentials the hint is %q", hint)
	}
}

// What another try would only repeat can be told from a server that is away.
func TestMistakesInTheSettings(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	s := testServer(t, t.TempDir(), natsd.RandomPort)
	dir := filepath.Join(config, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"creds": `{"url": "` + s.URL() + `", "creds": "/no/such/file"}`,
		"ca":    `{"url": "` + s.URL() + `", "ca": "/no/such/file"}`,
		"json":  `{`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []Options{
		{Context: "nowhere"}, {Context: "creds"}, {Context: "ca"}, {Context: "json"},
		{URL: s.URL(), Creds: "/no/such/file"}, {URL: "nats://[::1"},
		{URL: s.URL(), TLS: TLSFiles{CA: "/no/such/file"}}, {URL: s.URL(), TLS: TLSFiles{Cert: "/no/such/file", Key: "/no/such/file"}},
		{URL: s.URL(), TLS: TLSFiles{CA: filepath.Join(dir, "json.json")}}, // no certificate in it
	} {
		_, err := Connect(t.Context(), o)
		if !errors.Is(err, ErrSettings) {
			t.Errorf("%+v: %v", o, err)
		}
		hinted(t, err, "")
	}
}

func TestWhatCannotBeConnectedTo(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx     context.Context
		options Options
		want    string
	}{
		"a prefix with a dot":       {t.Context(), Options{Prefix: "a.b"}, `prefix "a.b"`},
		"a context that is unknown": {t.Context(), Options{Context: "nowhere"}, `load nats context "nowhere"`},
		"credentials not there":     {t.Context(), Options{Creds: "/no/such/file"}, "/no/such/file"},
		"a context that has ended":  {ended, Options{}, "context canceled"},
		"a URL that cannot be read": {t.Context(), Options{URL: "nats://[::1"}, "unreadable URL"},
		"an embedded server gone":   {t.Context(), Options{InProcess: &doorway{}}, "no server"},
	} {
		if _, err := Connect(tt.ctx, tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A context must mean here what it means to the nats command.
func TestAContextOfTheNatsCommand(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	s := testServer(t, t.TempDir(), natsd.RandomPort)
	dir := filepath.Join(config, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `{"url": "` + s.URL() + `", "inbox_prefix": "_INBOX_mine"}`
	if err := os.WriteFile(filepath.Join(dir, "mine.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := connected(t, Options{Context: "mine"})
	if err := b.EnsureStreams(patience(t)); err != nil {
		t.Fatal(err)
	}
	if b.URL() != s.URL() || !strings.HasPrefix(b.nc.NewInbox(), "_INBOX_mine.") {
		t.Errorf("url %s, inbox %s", b.URL(), b.nc.NewInbox())
	}
	mustAppend(t, b.Log(), appeared(1))

	b = connected(t, Options{Context: "mine", CustomInboxPrefix: "_INBOX_other"})
	if !strings.HasPrefix(b.nc.NewInbox(), "_INBOX_other.") {
		t.Errorf("inbox %s", b.nc.NewInbox())
	}
	text = `{"url": "` + s.URL() + `", "jetstream_domain": "elsewhere"}`
	if err := os.WriteFile(filepath.Join(dir, "mine.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b = connected(t, Options{Context: "mine"})
	if b.js.Options().Domain != "elsewhere" {
		t.Errorf("domain %q", b.js.Options().Domain)
	}
}

func connected(t *testing.T, o Options) *Bus {
	t.Helper()
	b, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestReconnectDelaysGrowToABound(t *testing.T) {
	for tries := range 100 {
		if d := reconnectDelay(tries); d < firstReconnect/2 || d > longestReconnect {
			t.Errorf("try %d waits %s", tries, d)
		}
	}
	if d := reconnectDelay(50); d < longestReconnect/2 {
		t.Errorf("late tries wait only %s", d)
	}
	if longestReconnect > 2*time.Second {
		t.Errorf("a lease of 6s does not outlive a wait of %s and a heartbeat's", longestReconnect)
	}
}
