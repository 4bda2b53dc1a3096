package clitest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Log is a command's standard error that can be waited on. It is for log lines
// in JSON; others are kept and passed over. The zero Log is ready.
type Log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	lines   []map[string]any
	changed chan struct{} // closed at the next line; nil while nobody waits
}

// Write takes whole lines, as loggers write them.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(p) {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil {
			l.lines = append(l.lines, fields)
		}
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Wait takes the oldest line with the given message that was not taken before,
// and returns its fields.
func (l *Log) Wait(ctx context.Context, t testing.TB, message string) map[string]any {
	t.Helper()
	for {
		fields, changed := l.take(message)
		if fields != nil {
			return fields
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no line %q in\n%s", message, l)
		}
	}
}

func (l *Log) take(message string) (fields map[string]any, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, line := range l.lines {
		if line["message"] == message {
			l.lines[i] = nil
			return line, nil
		}
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return nil, l.changed
}

// Get asks a service and leaves no connection behind.
func Get(ctx context.Context, t testing.TB, url string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(text))
}
