package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is a planner's process.
type process struct {
	cmd   *exec.Cmd
	url   string
	ended chan error
	out   *tailBuffer
	// began is when it was started, and readyIn how long it took to be ready.
	began   time.Time
	readyIn time.Duration
}

// patience bounds the wait for a process to come up or go.
const patience = 30 * time.Second

// spawnPlanner starts a planner of its own and waits until it has folded the log.
func (r *run) spawnPlanner(ctx context.Context, server string, lease time.Duration) (*process, error) {
	if r.planner == nil {
		return nil, errors.New("no program was named that is a planner")
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &process{url: "http://" + address, ended: make(chan error, 1), out: new(tailBuffer)}
	p.cmd = r.planner("--nats", server, "--lease", lease.String(), "--listen", address, "--log-level", "warn", "--snapshot-every", "0")
	p.cmd.Env = append(p.cmd.Environ(), ownEnvironment...)
	p.cmd.Stderr = p.out
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start planner: %w", err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	if err := p.ready(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// ownEnvironment silences what would lead a planner elsewhere.
var ownEnvironment = []string{"NATS_URL=", "NATS_CONTEXT=", "NATS_CREDS=", "NATS_CERT=", "NATS_KEY=", "NATS_CA="}

// freeAddress is one that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (p *process) ready(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if text, err := get(ctx, p.url+"/readyz"); err == nil && strings.HasPrefix(text, "ok") {
			p.readyIn = time.Since(p.began)
			return nil
		}
		if err := p.pass(ctx, tick.C); err != nil {
			return err
		}
	}
	return fmt.Errorf("the planner is not ready: %s", p.said())
}

// decided waits for the first decision, which counts that many nodes as present.
func (p *process) decided(ctx context.Context, present int) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(10 * patience); time.Now().Before(end); {
		m, err := p.metrics(ctx)
		if err != nil {
			return err
		}
		if m[`fleetfold_nodes{state="present"}`] == float64(present) {
			return nil
		}
		if err := p.pass(ctx, tick.C); err != nil {
			return err
		}
	}
	return fmt.Errorf("the planner does not decide: %s", p.said())
}

// pass waits for the next look, unless the process has ended.
func (p *process) pass(ctx context.Context, tick <-chan time.Time) error {
	select {
	case err := <-p.ended:
		p.ended <- err
		return fmt.Errorf("the planner has ended: %w: %s", err, p.said())
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-tick:
		return nil
	}
}

// stop asks it to end, and kills it where it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func (p *process) said() string { return p.out.String() }

// metrics are what it shows at /metrics, by name and labels.
func (p *process) metrics(ctx context.Context) (map[string]float64, error) {
	text, err := get(ctx, p.url+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the planner's metrics: %w", err)
	}
	values := make(map[string]float64)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, ok := cutLast(lines.Text())
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			values[name] = v
		}
	}
	return values, nil
}

func cutLast(line string) (name, value string, ok bool) {
	at := strings.LastIndexByte(line, ' ')
	if at < 0 || line[0] == '#' {
		return "", "", false
	}
	return line[:at], line[at+1:], true
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Close = true // no connection stays behind
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(answer.Body)
	return b.String(), err
}

// tailBuffer keeps the end of what a process says.
type tailBuffer struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4 << 10

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > tailBytes {
		t.text = append(t.text[:0], t.text[len(t.text)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
