package main

import (
	"io"
	"sync"
)

// spool writes in a goroutine of its own what it is handed, in order. Who hands
// it something never waits for the reader at the other end: a fleet must not
// stop because somebody scrolls back. It grows as long as that reader sleeps.
type spool struct {
	w      io.Writer
	done   chan struct{}
	broken chan struct{}

	mu     sync.Mutex
	more   *sync.Cond
	queue  []func(io.Writer) error
	closed bool
	err    error
}

func newSpool(w io.Writer) *spool {
	s := &spool{w: w, done: make(chan struct{}), broken: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	go s.run()
	return s
}

// put queues a piece of output. It is made by the goroutine that writes.
func (s *spool) put(write func(io.Writer) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.err != nil {
		return
	}
	s.queue = append(s.queue, write)
	s.more.Signal()
}

func (s *spool) run() {
	defer close(s.done)
	for {
		queue := s.take()
		if queue == nil {
			return
		}
		for _, write := range queue {
			if err := write(s.w); err != nil {
				s.fail(err)
				return
			}
		}
	}
}

// take waits for something to write; nil means that there will be nothing more.
func (s *spool) take() []func(io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.closed {
		s.more.Wait()
	}
	queue := s.queue
	s.queue = nil
	return queue
}

func (s *spool) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.queue = err, nil
	close(s.broken)
}

// Broken is closed after the first write that failed; nothing is written then.
func (s *spool) Broken() <-chan struct{} { return s.broken }

// Err is the error of the write that failed.
func (s *spool) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close writes what is left, and returns the first error of writing. It may be
// called again.
func (s *spool) Close() error {
	s.mu.Lock()
	s.closed = true
	s.more.Signal()
	s.mu.Unlock()
	<-s.done
	return s.Err()
}
