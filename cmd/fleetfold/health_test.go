package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli"
)

func TestHealthExitsByTheAnswer(t *testing.T) {
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/well", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("/waits", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not caught up with the log", http.StatusServiceUnavailable)
	})
	mux.Handle("/moved", http.RedirectHandler("/well", http.StatusFound))
	mux.HandleFunc("/hangs", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(release)
	gone := httptest.NewServer(mux)
	gone.Close()

	for _, c := range []struct {
		does  string
		args  []string
		code  int
		error string
	}{
		{"200 is well", []string{server.URL + "/well"}, cli.ExitOK, ""},
		{"503 says what it waits for", []string{server.URL + "/waits"}, cli.ExitFailure, "not caught up with the log"},
		{"a redirect is not well", []string{server.URL + "/moved"}, cli.ExitFailure, "302"},
		{"an answer that is late is none", []string{server.URL + "/hangs", "--timeout", "50ms"}, cli.ExitFailure, "deadline exceeded"},
		{"nobody there", []string{gone.URL + "/well"}, cli.ExitFailure, "hint: is the service running"},
		{"no URL", nil, cli.ExitUsage, "accepts 1 arg"},
		{"not http", []string{"nats://127.0.0.1:4222"}, cli.ExitUsage, "no http URL"},
		{"no time at all", []string{server.URL + "/well", "--timeout", "0s"}, cli.ExitUsage, "must be above 0"},
	} {
		t.Run(c.does, func(t *testing.T) {
			cmd := newHealth()
			var out, problems bytes.Buffer
			cmd.SetArgs(append([]string{}, c.args...))
			cmd.SetOut(&out)
			cmd.SetErr(&problems)
			if code := cli.Run(t.Context(), cmd); code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, problems.String())
			}
			if !strings.Contains(problems.String(), c.error) {
				t.Errorf("standard error is %q, want %q in it", problems.String(), c.error)
			}
			if out.Len() > 0 {
				t.Errorf("standard output is %q, want nothing", out.String())
			}
		})
	}
}
