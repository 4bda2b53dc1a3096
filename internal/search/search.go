package search

// Result of a search.
type Result struct {
	// States that were reached, Steps that were tried, and Folds of different
	// logs that were made for it. No state is further than Depth steps from the
	// beginning.
	States, Steps, Folds, Depth int
	// Complete says that there is no state beyond Depth.
	Complete bool
	// Stored counts the steps that put an event on the log, by type, and those
	// that ended an action, such as "action.refused EnrollNode".
	Stored map[string]int
	// Story of the first broken promise, as short as any; nil for none.
	Story *Story
}

// origin is how a state was first reached: by which move of which state.
type origin struct{ state, move int32 }

// Search visits every state that depth steps can reach, nearest first, and
// stops at the first broken promise.
func (m *Model) Search(depth int) (r Result) {
	m.quiet, m.folds, m.cut, m.stored = true, 0, false, make(map[string]int)
	begin, _ := m.begin.canonical()
	states, origins := []state{begin}, []origin{{-1, -1}}
	seen := map[state]struct{}{begin: {}}
	defer func() { r.States, r.Folds, r.Stored = len(states), m.folds, m.stored }()
	var moves []move
	for done := 0; r.Depth < depth; r.Depth++ {
		level := len(states)
		if done == level {
			r.Complete = !m.cut
			return r
		}
		for ; done < level; done++ {
			moves = m.moves(states[done], moves)
			r.Steps += len(moves)
			for k := range moves {
				if moves[k].broken != "" {
					r.Depth++
					r.Story = m.tell(origins, origin{int32(done), int32(k)})
					return r
				}
				to, _ := moves[k].to.canonical()
				if _, old := seen[to]; !old {
					seen[to] = struct{}{}
					states, origins = append(states, to), append(origins, origin{int32(done), int32(k)})
				}
			}
		}
	}
	return r
}
