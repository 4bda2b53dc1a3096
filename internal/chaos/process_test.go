//go:build unix

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// story is what was done and what ended, in order. It is for any goroutine.
type story struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (s *story) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%7.3fs  ", time.Since(s.began).Seconds())+fmt.Sprintf(format, args...))
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// restartPause keeps a process that ends at once from being started in a loop.
const restartPause = 200 * time.Millisecond

// process is a program that is started again whenever it ends, for as long as
// it is wanted.
type process struct {
	t     *testing.T
	name  string
	args  []string
	log   string // file of its standard error, over all its lives
	story *story

	mu     sync.Mutex
	cmd    *exec.Cmd // nil while it does not run
	wanted bool
	rest   time.Duration // before the next start
	ours   bool          // its end, when it comes, is our doing
	news   chan struct{} // has a value when wanted changed
	over   chan struct{} // closed by end
	ending sync.Once
	gone   chan struct{} // closed when no more is started
}

// keep starts the program when it is wanted. It is killed when the test ends.
func keep(t *testing.T, s *story, name, log string, args ...string) *process {
	p := &process{
		t: t, name: name, args: args, log: log, story: s,
		news: make(chan struct{}, 1), over: make(chan struct{}), gone: make(chan struct{}),
	}
	go p.run()
	t.Cleanup(p.end)
	return p
}

func (p *process) run() {
	defer close(p.gone)
	for {
		cmd, err := p.start()
		if err != nil {
			p.t.Errorf("start %s: %v", p.name, err)
			return
		}
		var again <-chan time.Time
		if cmd != nil {
			err := cmd.Wait()
			again = time.After(p.ended(err))
		}
		select {
		case <-p.over:
			return
		case <-p.news:
		case <-again:
		}
	}
}

// end is final: nothing is started after it. It may be called again.
func (p *process) end() {
	p.ending.Do(func() {
		p.mu.Lock()
		p.wanted = false
		close(p.over)
		p.mu.Unlock()
		p.kill(0)
	})
	<-p.gone
}

// start returns nil while the program is not wanted.
func (p *process) start() (*exec.Cmd, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted {
		return nil, nil
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stderr = out
	cmd.SysProcAttr = diesWithParent()
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.cmd, p.ours = cmd, false
	return cmd, nil
}

// ended returns how long to wait before the next start.
func (p *process) ended(err error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	how, crashed := verdict(p.cmd.ProcessState)
	if !p.ours {
		p.rest = restartPause
		p.story.tell("%s ended by itself: %s", p.name, how)
		if crashed {
			p.t.Errorf("%s crashed (%s, %v); its log ends:\n%s", p.name, how, err, tail(p.log, 60))
		}
	}
	p.cmd = nil
	return p.rest
}

// verdict tells a crash from an end: a panic, a data race, a wrong flag and a
// signal that nobody here has sent must never happen, whatever was done to the
// other processes. Not to find the server at the start is no crash.
func verdict(s *os.ProcessState) (how string, crashed bool) {
	const panicked, raced, misused = 2, 66, 64
	switch code := s.ExitCode(); code {
	case panicked, raced, misused, -1:
		return s.String(), true
	}
	return s.String(), false
}

func (p *process) want(wanted bool) {
	p.mu.Lock()
	changed := p.wanted != wanted
	p.wanted = wanted
	p.mu.Unlock()
	if !changed {
		return
	}
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *process) kill(rest time.Duration) { p.signal(syscall.SIGKILL, rest) }

// term also wakes a process that was stopped: it could not end otherwise.
func (p *process) term() {
	p.signal(syscall.SIGTERM, 0)
	p.cont()
}

func (p *process) signal(s syscall.Signal, rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	p.ours, p.rest = true, rest
	_ = p.cmd.Process.Signal(s) // it may have ended just now
}

func (p *process) stop(pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	time.AfterFunc(pause, p.cont)
}

func (p *process) cont() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	}
}

// tail is the last lines of a file.
func tail(file string, n int) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
