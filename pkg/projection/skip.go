package projection

import (
	"strings"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Skip folds a message that did not fit, as Apply does for a nil event. It
// also knows the message's subject, and so which fence has moved: without
// that, a newer release's event on a node's subject would let every fact this
// one appends about that node lose its race for ever.
func (s *State) Skip(seq uint64, subjects events.Subjects, subject string) error {
	if err := s.advance(seq); err != nil {
		return err
	}
	s.unfit++
	if !strings.HasPrefix(subject, strings.TrimSuffix(subjects.AllActions(), ">")) {
		s.planEnd = seq // an action that cannot be read is one of its plan all the same
		s.sharing.noPlan()
	}
	switch subject {
	case subjects.Partition():
		s.last.partition = seq
	case subjects.Enforcement():
		s.last.enforcement = seq
	case subjects.Inventory():
		s.last.inventory = seq
	case subjects.Trust():
		s.last.trust = seq
	default:
		token, ok := strings.CutPrefix(subject, subjects.Node(""))
		if !ok {
			s.skipPlan(seq, subjects, subject)
			return nil
		}
		if id, err := events.ParseToken(token); err == nil {
			_, c := s.open(id)
			c.last = seq
		}
	}
	return nil
}
