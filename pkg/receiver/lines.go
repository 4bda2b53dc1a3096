package receiver

import (
	"sync"
	"time"
)

// linesEvery is how often the same thing is logged at most.
const linesEvery = time.Minute

// lines bounds the log: whoever can send a post could fill it. What is logged is a
// reason, of which there are few.
type lines struct {
	mu   sync.Mutex
	now  func() time.Time
	last map[string]time.Time
}

func newLines(now func() time.Time) *lines {
	return &lines{now: now, last: make(map[string]time.Time)}
}

// warn writes the first line of a kind at once, and then one a minute.
func (l *lines) warn(kind string, write func()) {
	now := l.now()
	l.mu.Lock()
	last, known := l.last[kind]
	due := !known || now.Sub(last) >= linesEvery
	if due {
		l.last[kind] = now
	}
	l.mu.Unlock()
	if due {
		write()
	}
}
