package profile

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestOnlyLoopbackIsTaken(t *testing.T) {
	for address, good := range map[string]bool{
		"": true, "127.0.0.1:0": true, "[::1]:6060": true, "localhost:6060": true, "127.1.2.3:80": true,
		":6060": false, "0.0.0.0:6060": false, "[::]:6060": false, "10.0.0.1:6060": false, "example.org:6060": false, "6060": false,
	} {
		if err := (&Flags{Address: address}).Check(); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// lines hands out what is logged.
type lines chan []byte

func (l lines) Write(p []byte) (int, error) {
	l <- bytes.Clone(p)
	return len(p), nil
}

func TestProfilesAreServedUntilTheEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said, done := make(lines, 10), make(chan error, 1)
	f := Flags{Address: "127.0.0.1:0"}
	go func() { done <- f.Serve(ctx, zerolog.New(said)) }()
	var line struct{ Address string }
	if err := json.Unmarshal(<-said, &line); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+line.Address+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || !strings.Contains(string(text), "goroutine profile") {
		t.Errorf("%v: %.100s", err, text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestAProcessorProfileIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cpu.prof")
	stop, err := CPU(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if _, err := CPU(filepath.Join(path, "no", "folder")); err == nil {
		t.Error("a file that cannot be made is no error")
	}
}
