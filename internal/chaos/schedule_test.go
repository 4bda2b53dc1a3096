//go:build unix

package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// deed is what a step does.
type deed string

const (
	kill deed = "kill -9"      // and start again after a while
	halt deed = "SIGSTOP"      // and SIGCONT after a while
	term deed = "SIGTERM"      // and start again at once
	edit deed = "inventory is" // of these nodes from here on
)

// step is one line of the schedule.
type step struct {
	at    time.Duration
	do    deed
	who   string
	pause time.Duration
	world desired
}

func (s step) String() string {
	switch s.do {
	case edit:
		return fmt.Sprintf("%s %s", s.do, s.world)
	case term:
		return fmt.Sprintf("%s %s", s.do, s.who)
	}
	return fmt.Sprintf("%s %s for %s", s.do, s.who, s.pause)
}

// desired is an inventory.
type desired struct {
	nodes  []string
	strict bool
	// edition makes each text a new one: a planner takes an old one that it did
	// not see coming for an edit that was carried out long ago.
	edition int
}

func (d desired) String() string {
	enforcement := "permissive"
	if d.strict {
		enforcement = "strict"
	}
	return fmt.Sprintf("%s, %s", strings.Join(d.nodes, " "), enforcement)
}

func (d desired) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# edition %d\n", d.edition)
	b.WriteString("trust_domain: fleet.example\nregions:\n  - name: nyc\n    nodes:\n")
	for _, id := range d.nodes {
		fmt.Fprintf(&b, "      - {id: %s, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}\n", id)
	}
	fmt.Fprintf(&b, "quorum: {width: 1}\nenforcement: {require_sig: %t}\n", d.strict)
	return b.String()
}

// victims of a schedule, by kind, with how often each kind is hit.
type victims struct {
	kinds  [][]string
	weight []int
	nodes  []string
	// servers of a cluster have a schedule of their own; none without one.
	servers []string
}

func victimsOf(agents, servers []string) victims {
	v := victims{
		kinds: [][]string{
			servers, {"planner-1", "planner-2"}, {"executor-1", "executor-2"}, {"writer"}, nil,
		},
		weight: []int{2, 5, 5, 1, 5},
		nodes:  agents,
	}
	for _, id := range agents {
		v.kinds[4] = append(v.kinds[4], "agent-"+id)
	}
	if len(servers) > 1 {
		v.servers, v.weight[0] = servers, 0
	}
	return v
}

// schedule depends on nothing but its arguments. Its last step is an inventory
// that asks for strict enforcement, so that there is always something to reach.
func schedule(seed uint64, length time.Duration, v victims) []step {
	r := rand.New(rand.NewPCG(seed, 0))
	var steps []step
	at := time.Duration(0)
	for {
		at += between(r, 100*time.Millisecond, 700*time.Millisecond)
		if at >= length {
			break
		}
		if r.IntN(4) == 0 {
			steps = append(steps, step{at: at, do: edit, world: world(r, v.nodes, 1, r.IntN(4) > 0)})
			continue
		}
		steps = append(steps, mischief(r, at, v))
	}
	last := step{at: length, do: edit, world: world(r, v.nodes, len(v.nodes)/2+1, true)}
	if len(v.servers) > 0 {
		steps = append(steps, outages(seed, length, v.servers)...)
		slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	}
	steps = append(steps, last)
	for i := range steps {
		steps[i].world.edition = i + 1
	}
	return steps
}

func mischief(r *rand.Rand, at time.Duration, v victims) step {
	total := 0
	for _, w := range v.weight {
		total += w
	}
	kind, draw := 0, r.IntN(total)
	for ; draw >= v.weight[kind]; kind++ {
		draw -= v.weight[kind]
	}
	s := step{at: at, who: v.kinds[kind][r.IntN(len(v.kinds[kind]))]}
	switch r.IntN(5) {
	case 0, 1:
		s.do, s.pause = kill, between(r, 0, 2*time.Second)
	case 2, 3:
		// Some pauses outlast a lease, and those that do not are the more telling.
		s.do, s.pause = halt, between(r, 100*time.Millisecond, 4*time.Second)
	default:
		s.do = term
	}
	return s
}

// world draws at least least nodes, in the order of the list.
func world(r *rand.Rand, all []string, least int, strict bool) desired {
	n := least + r.IntN(len(all)-least+1)
	picked := r.Perm(len(all))[:n]
	slices.Sort(picked)
	d := desired{strict: strict}
	for _, i := range picked {
		d.nodes = append(d.nodes, all[i])
	}
	return d
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Int64N(int64(most-least)))).Round(time.Millisecond)
}

func TestASeedIsASchedule(t *testing.T) {
	nodes := []string{"n1", "n2", "n3"}
	for _, servers := range [][]string{{"server"}, {"server-1", "server-2", "server-3"}} {
		v := victimsOf(nodes, servers)
		one, again, other := schedule(7, time.Minute, v), schedule(7, time.Minute, v), schedule(8, time.Minute, v)
		if fmt.Sprint(one) != fmt.Sprint(again) {
			t.Error("the same seed gave another schedule")
		}
		if fmt.Sprint(one) == fmt.Sprint(other) {
			t.Error("another seed gave the same schedule")
		}
		// Three minutes, so that no kind is left out by chance.
		long := schedule(7, 3*time.Minute, v)
		done := make(map[string]bool)
		for _, s := range long {
			done[string(s.do)] = true
			done[s.who] = true
		}
		wanted := append(slices.Concat(v.kinds...), string(kill), string(halt), string(term), string(edit))
		if len(servers) > 1 {
			wanted = append(wanted, leader, allServers)
		}
		for _, want := range wanted {
			if !done[want] {
				t.Errorf("three minutes of chaos with %d servers leave out %q", len(servers), want)
			}
		}
		if last := long[len(long)-1]; last.do != edit || !last.world.strict || len(last.world.nodes) < 2 {
			t.Errorf("the last step is %v", last)
		}
	}
}

// All but the killing of all leaves a majority of the servers alone.
func TestOneServerIsAwayAtATime(t *testing.T) {
	servers := []string{"server-1", "server-2", "server-3"}
	for seed := range uint64(100) {
		steps := outages(seed, time.Minute, servers)
		if s := steps[0]; s.do != kill || s.who != leader || s.at > 2*time.Second {
			t.Fatalf("seed %d begins with %s", seed, s)
		}
		back := time.Duration(0)
		for _, s := range steps {
			if s.at < back {
				t.Fatalf("seed %d: %s at %s, while another is away until %s", seed, s, s.at, back)
			}
			back = s.at + s.pause
		}
	}
}
