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
	senders map[digest]*sent // by source
	swept   time.Time
	// file keeps it over a restart; nil: nothing does.
	file *journal
	// lost is the end of the time that was not kept: a post of then or before may
	// have been taken.
	lost time.Time
}

// sent is what is known of one sender. Times are in whole seconds.
type sent struct {
	ids     map[digest]int64
	seconds map[int64][]digest
	// floor is the newest second that was forgotten too early.
	floor int64
}

// digest stands for a source or an id, which may be long.
type digest [16]byte

func digestOf(text string) digest {
	sum := sha256.Sum256([]byte(text))
	return digest(sum[:])
}

func newMemory(limit int, window time.Duration) *memory {
	return &memory{limit: limit, window: window, senders: make(map[digest]*sent)}
}

func newSent() *sent {
	return &sent{ids: make(map[digest]int64), seconds: make(map[int64][]digest)}
}

// note remembers a post, or says why it may have come before.
func (m *memory) note(source, id string, at, now time.Time) fleet.Reason {
	from, key, second := digestOf(source), digestOf(id), at.Unix()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	s := m.senders[from]
	if s == nil {
		s = newSent()
	}
	if second <= s.floor {
		return Stale
	}
	// The same id again is the same post, whatever second it says.
	if _, twice := s.ids[key]; twice {
		return Replayed
	}
	if !at.After(m.lost) {
		return MemoryLost
	}
	for m.total >= m.limit {
		if !m.forget() {
			return MemoryLost
		}
		if second <= s.floor {
			return Stale
		}
	}
	// What could not be kept must not be taken: after a restart it would be taken
	// once more.
	if !m.keep(entry{kind: entrySeen, source: from, id: key, second: second}) {
		return MemoryLost
	}
	m.senders[from] = s
	m.add(s, key, second)
	return ""
}

func (m *memory) add(s *sent, key digest, second int64) {
	s.ids[key] = second
	s.seconds[second] = append(s.seconds[second], key)
	m.total++
}

// forget makes room at the cost of the sender that has most. It says false when
// that could not be kept.
func (m *memory) forget() bool {
	var most *sent
	var whose digest
	for source, s := range m.senders {
		if most == nil || len(s.ids) > len(most.ids) {
			most, whose = s, source
		}
	}
	oldest := int64(1<<63 - 1)
	for second := range most.seconds {
		oldest = min(oldest, second)
	}
	if !m.keep(entry{kind: entryFloor, source: whose, second: oldest}) {
		return false
	}
	m.drop(most, oldest)
	most.floor = max(most.floor, oldest)
	return true
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
