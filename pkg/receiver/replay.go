package receiver

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// memory knows which posts were taken, for as long as their time lets them be
// taken again. When it is full, it forgets the oldest second of whoever has most in
// it, and takes nothing as old as that from them any more: so nothing is taken
// twice, and who floods it shortens only their own time.
type memory struct {
	mu      sync.Mutex
	limit   int
	window  time.Duration
	total   int
	senders map[string]*sent
	swept   time.Time
}

// sent is what is known of one sender. Times are in whole seconds.
type sent struct {
	ids     map[digest]int64
	seconds map[int64][]digest
	// floor is the newest second that was forgotten too early.
	floor int64
}

// digest stands for an id, which may be long.
type digest [16]byte

func newMemory(limit int, window time.Duration) *memory {
	return &memory{limit: limit, window: window, senders: make(map[string]*sent)}
}

// note remembers a post, or says why it may have come before.
func (m *memory) note(source, id string, at, now time.Time) fleet.Reason {
	sum := sha256.Sum256([]byte(id))
	key, second := digest(sum[:]), at.Unix()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	s := m.senders[source]
	if s == nil {
		s = &sent{ids: make(map[digest]int64), seconds: make(map[int64][]digest)}
	}
	if second <= s.floor {
		return Stale
	}
	// The same id again is the same post, whatever second it says.
	if _, twice := s.ids[key]; twice {
		return Replayed
	}
	if m.total >= m.limit {
		m.forget()
		if second <= s.floor {
			return Stale
		}
	}
	m.senders[source] = s
	s.ids[key] = second
	s.seconds[second] = append(s.seconds[second], key)
	m.total++
	return ""
}

// forget makes room at the cost of the sender that has most.
func (m *memory) forget() {
	var most *sent
	for _, s := range m.senders {
		if most == nil || len(s.ids) > len(most.ids) {
			most = s
		}
	}
	oldest := int64(1<<63 - 1)
	for second := range most.seconds {
		oldest = min(oldest, second)
	}
	m.drop(most, oldest)
	most.floor = max(most.floor, oldest)
}

func (m *memory) drop(s *sent, second int64) {
	for _, key := range s.seconds[second] {
		delete(s.ids, key)
	}
	m.total -= len(s.seconds[second])
	delete(s.seconds, second)
}

// sweep drops what is too old to be taken again, once a second.
func (m *memory) sweep(now time.Time) {
	if now.Sub(m.swept) < time.Second && !now.Before(m.swept) {
		return
	}
	m.swept = now
	before := now.Add(-m.window).Unix()
	for source, s := range m.senders {
		for second := range s.seconds {
			if second < before {
				m.drop(s, second)
			}
		}
		if len(s.ids) == 0 && s.floor < before {
			delete(m.senders, source)
		}
	}
}
