package receiver

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// What net/http answers by itself has a reason, too, is counted, and is told.
func TestWhatNoHandlerSeesIsRefusedAndCounted(t *testing.T) {
	told := make(chan fleet.Reason, 10)
	w := newWorld(t, func(c *Config) { c.Refused = func(_ string, refusal *Refusal) { told <- refusal.Reason } })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		http.Error(answer, "of the handler", http.StatusBadRequest)
	})
	server := &http.Server{Handler: handler, MaxHeaderBytes: 4 << 10}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(w.Listener(l)) }()
	defer func() { server.Close(); <-ended }()
	ask := func(text string) string {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	for request, want := range map[string][]string{
		"POST / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 8192) + "\r\n\r\n": {"HTTP/1.1 431 Request Header Fields Too Large\r\n", ReasonHeader + ": too_large\r\n", `"reason":"too_large"`},
		"rubbish\r\n\r\n": {"HTTP/1.1 400 Bad Request\r\n", ReasonHeader + ": bad_event\r\n", `"reason":"bad_event"`},
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n":                   {"HTTP/1.1 501 Not Implemented\r\n", `"reason":"bad_event"`},
		"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n": {"HTTP/1.1 400 Bad Request\r\n", "of the handler"},
	} {
		got := ask(request)
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%.40q is answered %q, want %q", request, got, part)
			}
		}
	}
	if _, _, refused := w.Counts(); refused[TooLarge] != 1 || refused[BadEvent] != 2 || len(told) != 3 {
		t.Errorf("counted %v, told %v", refused, told)
	}
}
