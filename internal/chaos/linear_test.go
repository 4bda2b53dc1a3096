//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// searchTime bounds the search for a linear order of one round.
const searchTime = time.Minute

// cell is what is known of one register at one moment.
type cell struct {
	seq uint64
	// beyond: an append of unknown outcome took effect here, so that the register
	// is some later sequence, which whoever reads it next will tell.
	beyond bool
}

// may says whether a fence on seq may hold.
func (c cell) may(seq uint64) bool { return seq == c.seq && !c.beyond || seq > c.seq && c.beyond }

type cells [registersAtATime]cell

// reading is the last operation of a round: what each register is in the end.
type reading [registersAtATime]uint64

// tried is an attempt as the model wants it.
type tried struct {
	attempt
	// excused: it was refused at a moment when the same fence may have been spent
	// by an append that was under way and then got lost with its leader. The
	// server refuses in favour of what is under way, whatever becomes of that.
	excused bool
}

// registerModel says what a sequence of compare-and-sets may look like if they
// happen one after the other. An append of unknown outcome has no end: it takes
// effect when it comes to a state in which its fences hold, and to have none it
// comes later.
var registerModel = porcupine.Model{
	Partition: rounds,
	Init:      func() any { return cells{} },
	Step: func(state, input, _ any) (bool, any) {
		now := state.(cells)
		switch in := input.(type) {
		case reading:
			return now.reads(in), now
		case tried:
			return now.step(in)
		}
		return false, now
	},
	DescribeOperation: func(input, _ any) string { return describe(input) },
	DescribeState:     func(state any) string { return fmt.Sprint(state) },
}

func (c cells) reads(r reading) bool {
	for i, seq := range r {
		if !c[i].may(seq) {
			return false
		}
	}
	return true
}

func (c cells) step(in tried) (legal bool, after cells) {
	holds, sure := true, true
	for _, t := range in.Tries {
		at := c[t.Register.Place]
		holds = holds && at.may(t.Fence)
		sure = sure && !at.beyond
	}
	switch in.Outcome {
	case conflict:
		return !holds || !sure || in.excused, c
	case unknown:
		if holds {
			for _, t := range in.Tries {
				c[t.Register.Place] = cell{t.Fence, true}
			}
		}
		return true, c
	}
	for i, t := range in.Tries {
		holds = holds && in.sequence(i) > t.Fence
		c[t.Register.Place] = cell{seq: in.sequence(i)}
	}
	return holds, c
}

func describe(input any) string {
	in, ok := input.(tried)
	if !ok {
		return fmt.Sprintf("the end: %v", input)
	}
	var b strings.Builder
	for _, t := range in.Tries {
		fmt.Fprintf(&b, "%d if %d, ", t.Register.Place, t.Fence)
	}
	fmt.Fprint(&b, in.Outcome)
	if in.Outcome == stored {
		fmt.Fprintf(&b, " at %d", in.Sequence)
	}
	return b.String()
}

// rounds share no register.
func rounds(history []porcupine.Operation) [][]porcupine.Operation {
	parts := make(map[int][]porcupine.Operation)
	for _, op := range history {
		round := op.Metadata.(int)
		parts[round] = append(parts[round], op)
	}
	var all [][]porcupine.Operation
	for _, round := range slices.Sorted(maps.Keys(parts)) {
		all = append(all, parts[round])
	}
	return all
}

// operations is the history of all clients, and of one more that reads at the end.
func operations(attempts []attempt, last map[register]uint64) []porcupine.Operation {
	end := time.Duration(0)
	spent := make(map[try]time.Duration) // when a fence may first have been spent by an append that got lost
	for _, a := range attempts {
		end = max(end, a.Return+1)
		for _, t := range a.Tries {
			t.ID = ""
			if before, known := spent[t]; a.Outcome == unknown && (!known || a.Call < before) {
				spent[t] = a.Call
			}
		}
	}
	var history []porcupine.Operation
	ends := make(map[int]reading)
	for _, a := range attempts {
		op := porcupine.Operation{ClientId: a.Client, Call: int64(a.Call), Return: int64(a.Return), Metadata: a.Tries[0].Register.Round}
		if a.Outcome == unknown {
			op.Return = math.MaxInt64
		}
		in := tried{attempt: a}
		for _, t := range a.Tries {
			ends[t.Register.Round] = reading{}
			t.ID = ""
			since, known := spent[t]
			in.excused = in.excused || known && since < a.Return
		}
		op.Input = in
		history = append(history, op)
	}
	for round, r := range ends {
		for place := range r {
			r[place] = last[register{round, place}]
		}
		history = append(history, porcupine.Operation{
			ClientId: registerClients, Input: r, Call: int64(end), Return: int64(end), Metadata: round,
		})
	}
	return history
}

// linear searches for an order in which the appends may have happened one after
// the other, each between its call and its return. Where there is none, it keeps
// a picture of the history under the name that file gives it.
func linear(attempts []attempt, last map[register]uint64, file func(name string) string) (problems []string) {
	result, info := porcupine.CheckOperationsVerbose(registerModel, operations(attempts, last), searchTime)
	if result == porcupine.Ok {
		return nil
	}
	picture := file("registers.html")
	problem := fmt.Sprintf("the appends to registers have no linear order (%s); %s shows how far one goes", result, picture)
	if err := porcupine.VisualizePath(registerModel, info, picture); err != nil {
		problem += fmt.Sprintf(", or would: %v", err)
	}
	return []string{problem}
}

// The history of two clients by hand: what a compare-and-set may do is accepted,
// and whatever it may not do is refused.
func TestAHistoryThatIsNotLinearIsRefused(t *testing.T) {
	one, two := register{3, 0}, register{3, 1}
	op := func(client int, call, ret time.Duration, o outcome, seq uint64, tries ...try) attempt {
		return attempt{Client: client, Call: call, Return: ret, Outcome: o, Sequence: seq, Tries: tries}
	}
	on := func(r register, fence uint64) try { return try{Register: r, Fence: fence} }
	for name, tt := range map[string]struct {
		history []attempt
		last    map[register]uint64
		linear  bool
	}{
		"one wins and one loses": {[]attempt{
			op(0, 1, 5, stored, 7, on(one, 0)), op(1, 2, 4, conflict, 0, on(one, 0)), op(1, 6, 7, stored, 9, on(one, 7)),
		}, map[register]uint64{one: 9}, true},
		"a lost update": {[]attempt{
			op(0, 1, 5, stored, 7, on(one, 0)), op(1, 2, 4, stored, 8, on(one, 0)),
		}, map[register]uint64{one: 8}, false},
		"a lost acknowledged append": {[]attempt{
			op(0, 1, 2, stored, 7, on(one, 0)), op(0, 3, 4, stored, 8, on(one, 7)),
		}, map[register]uint64{one: 7}, false},
		"lost, and then written over": {[]attempt{
			op(0, 1, 2, stored, 7, on(one, 0)), op(1, 3, 4, stored, 8, on(one, 0)),
		}, map[register]uint64{one: 8}, false},
		"a conflict with nobody": {[]attempt{op(0, 1, 2, conflict, 0, on(one, 0))}, nil, false},
		"a conflict with what came later": {[]attempt{
			op(0, 1, 2, conflict, 0, on(one, 0)), op(1, 3, 4, stored, 7, on(one, 0)),
		}, map[register]uint64{one: 7}, false},
		"an unknown append that was stored": {[]attempt{
			op(0, 1, 2, unknown, 0, on(one, 0)), op(1, 3, 4, stored, 9, on(one, 7)),
		}, map[register]uint64{one: 9}, true},
		"an unknown append that was not": {[]attempt{
			op(0, 1, 2, unknown, 0, on(one, 0)), op(1, 3, 4, stored, 9, on(one, 0)),
		}, map[register]uint64{one: 9}, true},
		"an unknown append stored long after": {[]attempt{
			op(0, 1, 2, unknown, 0, on(one, 7)), op(1, 3, 4, stored, 7, on(one, 0)),
		}, map[register]uint64{one: 8}, true},
		"an unknown append that gave way to nobody": {[]attempt{
			op(0, 1, 2, unknown, 0, on(one, 0)), op(1, 3, 4, conflict, 0, on(one, 0)),
		}, nil, true},
		"a double one": {[]attempt{
			op(0, 1, 2, unknown, 0, on(one, 0)), op(1, 3, 4, stored, 9, on(one, 7)), op(1, 5, 6, stored, 11, on(one, 10)),
		}, map[register]uint64{one: 11}, false},
		"a batch sets all": {[]attempt{
			op(0, 1, 2, stored, 8, on(one, 0), on(two, 0)), op(1, 3, 4, stored, 9, on(one, 7)), op(1, 5, 6, stored, 10, on(two, 8)),
		}, map[register]uint64{one: 9, two: 10}, true},
		"half a batch": {[]attempt{
			op(0, 1, 2, stored, 8, on(one, 0), on(two, 0)), op(1, 3, 4, stored, 9, on(two, 0)),
		}, map[register]uint64{one: 7, two: 9}, false},
	} {
		dir := t.TempDir()
		problems := linear(tt.history, tt.last, func(name string) string { return dir + "/" + name })
		if (len(problems) == 0) != tt.linear {
			t.Errorf("%s: found %q", name, problems)
		}
	}
}
