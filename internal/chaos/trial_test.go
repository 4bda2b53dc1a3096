//go:build unix

package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// trial is what makes one run differ from another.
type trial struct {
	seed           uint64
	length         time.Duration
	nodes, servers int
	// lease is short, so that a killed agent is soon lost.
	lease time.Duration
	// quiet is how long the fleet may take to converge once everything runs. An
	// action that was in the hands of a killed executor is handed out again after
	// 5 s, and may have to wait for the one before it.
	quiet time.Duration
}

// trialOf reads the environment.
func trialOf(t *testing.T, servers int) trial {
	p := trial{
		seed:    number(t, "CHAOS_SEED", 1),
		nodes:   int(number(t, "CHAOS_NODES", 6)),
		servers: servers, lease: 2 * time.Second, quiet: time.Minute,
	}
	seconds := uint64(6)
	if os.Getenv("CHAOS_SEED") == "random" {
		p.seed = rand.Uint64N(1_000_000)
	}
	if servers > 1 {
		// The election of a leader takes longer than a short lease.
		p.lease, p.quiet = 5*time.Second, 2*time.Minute
		seconds = 10
	}
	p.length = time.Duration(number(t, "CHAOS_SECONDS", seconds)) * time.Second
	t.Logf("CHAOS_SEED=%d CHAOS_SECONDS=%.0f CHAOS_NODES=%d CHAOS_SERVERS=%d", p.seed, p.length.Seconds(), p.nodes, p.servers)
	return p
}

func number(t *testing.T, env string, otherwise uint64) uint64 {
	t.Helper()
	value := os.Getenv(env)
	if value == "" || value == "random" {
		return otherwise
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("%s is %q, must be a number above 0", env, value)
	}
	return n
}
