package obs

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHandlerAnswers(t *testing.T) {
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total"})
	h := Handler(Checks{Ready: func() error { return errors.New("not caught up with the log") }}, counter)
	for _, c := range []struct {
		does, path string
		code       int
		body       string
	}{
		{"a check that is left out holds", "/healthz", 200, "ok"},
		{"a check that fails says why", "/readyz", 503, "not caught up with the log"},
		{"metrics hold the given collector", "/metrics", 200, "things_total 0"},
		{"other paths are not found", "/", 404, ""},
	} {
		t.Run(c.does, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
			body, _ := io.ReadAll(w.Body)
			if w.Code != c.code || !strings.Contains(string(body), c.body) {
				t.Errorf("got %d %q, want %d with %q", w.Code, body, c.code, c.body)
			}
		})
	}
}
