package status

import "github.com/fleetfold/fleetfold/pkg/eventlog"

// Service is a planner or an executor that answered.
type Service struct {
	eventlog.Service
	// Lag is by how many messages its fold was behind the end of the log.
	Lag uint64 `json:"lag"`
}

// SetServices enters who answered. end is the last sequence of the log before
// they were asked: what came later cannot be expected of them.
func (s *Status) SetServices(found []eventlog.Service, end uint64) {
	s.Services = make([]Service, len(found))
	for i, f := range found {
		s.Services[i] = Service{Service: f}
		if f.Sequence < end {
			s.Services[i].Lag = end - f.Sequence
		}
	}
}
