package fleetday

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

const (
	// wild is the part of each hour in which things happen to the fleet; in the
	// rest nothing does.
	wild = 40 * time.Minute
	// patience is how long a fleet may take to converge when all is well again:
	// the longest wait between two attempts and one attempt.
	patience = 7 * time.Minute
	// dayTTL makes each credential end in each hour.
	dayTTL = "50m"
)

// Hours of a fleet whose credentials end all the time, whose nodes and services
// die and come back, whose inventory changes each hour, and whose server goes
// twice. Each hour the log keeps its promises, the fleet converges, and nothing
// has piled up.
func TestADayOfAFleet(t *testing.T) {
	hours, seed := number(t, "DAY_HOURS", 1), number(t, "DAY_SEED", 1)
	began := time.Now()
	inFakeTime(t, func(r *rig) {
		d := newDay(r, seed)
		for hour := range int(hours) {
			d.hour(hour)
		}
		d.account()
	})
	t.Logf("DAY_HOURS=%d DAY_SEED=%d took %s", hours, seed, time.Since(began).Round(time.Millisecond))
}

func number(t *testing.T, env string, otherwise uint64) uint64 {
	t.Helper()
	value := os.Getenv(env)
	if value == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("%s is %q, must be a number above 0", env, value)
	}
	return n
}

// day is a fleet and what happens to it.
type day struct {
	*rig
	random  *rand.Rand
	nodes   []fleet.NodeID // all there are, desired or not
	deeds   int
	slowest time.Duration // to converge
	// After the first hour.
	goroutines int
	heap       uint64
}

func newDay(r *rig, seed uint64) *day {
	d := &day{rig: r, random: rand.New(rand.NewPCG(seed, 0))}
	for i := range 8 {
		d.nodes = append(d.nodes, fleet.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	r.services()
	r.nodes(d.nodes...)
	r.want(desired{nodes: d.nodes, strict: true, ttl: dayTTL})
	r.converge(time.Minute)
	return d
}

// hour changes the inventory, lets things happen, and then looks at what is left.
func (d *day) hour(n int) {
	d.inventory()
	end := time.Now().Add(wild)
	outage := d.between(0, wild/2) // twice a day
	for time.Now().Before(end) {
		d.pass(d.between(20*time.Second, 3*time.Minute))
		d.deed()
		if n%12 == 0 && outage > 0 && time.Since(end.Add(-wild)) > outage {
			d.bounce(d.between(0, time.Minute))
			outage = 0
		}
	}
	d.blow()
	d.staff()
	d.slowest = max(d.slowest, d.converge(patience))
	d.pass(time.Hour - wild - patience)
	d.converge(patience) // credentials may have ended just now
	d.judge()
	d.measure()
}

// inventory desires five of the nodes or more. No more than three are taken out
// at once, for which nobody has to approve.
func (d *day) inventory() {
	picked := d.random.Perm(len(d.nodes))[:5+d.random.IntN(4)]
	chosen := make(map[int]bool)
	for _, i := range picked {
		chosen[i] = true
	}
	next := desired{strict: d.random.IntN(4) > 0, ttl: dayTTL}
	for i, id := range d.nodes {
		if chosen[i] {
			next.nodes = append(next.nodes, id)
		}
	}
	d.want(next)
	d.staff()
}

// staff sees to it that everything runs which should: services, and the agents
// of desired nodes. Those of others were told to end, or have nobody to tell it.
func (d *day) staff() {
	for _, name := range services {
		d.revive(name)
	}
	for _, id := range d.desired.nodes {
		d.revive(agentOf(id))
	}
}

// revive starts a process that has ended.
func (d *day) revive(name string) {
	if p := d.rig.processes[name]; !p.running() {
		p.again()
	}
}

// deed lets one thing happen.
func (d *day) deed() {
	d.deeds++
	switch d.random.IntN(8) {
	case 0:
		d.strike(services[d.random.IntN(len(services))], d.between(0, time.Minute))
	case 1:
		d.pause()
	default:
		id := d.desired.nodes[d.random.IntN(len(d.desired.nodes))]
		d.strike(agentOf(id), d.between(0, 90*time.Second))
	}
}

// blow takes much away at once, in the midst of an enrolment.
func (d *day) blow() {
	for _, i := range d.random.Perm(len(d.desired.nodes))[:2] {
		d.rig.processes[agentOf(d.desired.nodes[i])].kill()
	}
	d.pass(lease + d.between(0, lease))
	d.rig.processes[services[d.random.IntN(2)]].kill()
	d.rig.processes[services[2+d.random.IntN(2)]].kill()
	d.pass(d.between(0, lease))
}

// strike kills a process or tells it to stop, and starts it again after a while.
func (d *day) strike(name string, away time.Duration) {
	p := d.rig.processes[name]
	if d.random.IntN(3) == 0 {
		p.stop()
	} else {
		p.kill()
	}
	d.pass(away)
	d.revive(name)
}

// pause pauses the fleet or a node for a while.
func (d *day) pause() {
	target := fleet.Target{Scope: fleet.ScopeFleet}
	if d.random.IntN(2) == 0 {
		target = fleet.Target{Scope: fleet.ScopeNode, ID: d.desired.nodes[0]}
	}
	log, v := d.witness.bus.Log(), d.witness.view
	word := planner.Word{Actor: "test", At: time.Now()}
	if _, err := planner.Pause(d.Context(), log, v, target, word); err != nil {
		d.Fatal(err)
	}
	d.pass(d.between(time.Minute, 5*time.Minute))
	word.At = time.Now()
	if _, err := planner.Resume(d.Context(), log, v, target, word); err != nil {
		d.Fatal(err)
	}
}

func (d *day) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.random.Int64N(int64(most-least)))
}

// measure holds goroutines and memory to those of the first hour: what a fleet
// leaves behind must be on its log, and nowhere else.
func (d *day) measure() {
	d.Helper()
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	goroutines := runtime.NumGoroutine()
	if d.heap == 0 {
		d.heap, d.goroutines = now.HeapAlloc, goroutines
	}
	// The witness and the server keep the log; ten kilobytes a record is plenty.
	most := d.heap + uint64(len(d.witness.log()))*10<<10 + 16<<20
	if now.HeapAlloc > most {
		d.Errorf("%d MiB of memory are in use, after the first hour it were %d", now.HeapAlloc>>20, d.heap>>20)
	}
	if goroutines > d.goroutines+d.goroutines/4 {
		d.Errorf("%d goroutines run, after the first hour it were %d", goroutines, d.goroutines)
	}
}
