package hosttest

import (
	"slices"
	"strings"
	"syscall"
)

func steeringSpecs() []Spec {
	param, compat := []Capability{SteeringMode}, []Capability{CompatSteering}
	return []Spec{
		{Label: "steering: without a steering mode the parameter is EINVAL", Needs: []Capability{Devlink}, Lacks: param, run: noSteering},
		{Label: "steering: flow_steering_mode can be set in legacy mode and is read back", Needs: param, run: setsSteering},
		{Label: "steering: flow_steering_mode stays when VFs come and the mode changes", Needs: append(param, Switchdev), run: steeringStays},
		{Label: "steering: in switchdev mode flow_steering_mode is EOPNOTSUPP", Needs: append(param, Switchdev), run: steeringInSwitchdev},
		{Label: "steering: what the device cannot do is EOPNOTSUPP, what is no mode EINVAL", Needs: param, run: steeringUnsupported},
		{Label: "steering: compat steering_mode can be set in legacy mode and is read back", Needs: compat, run: setsCompat},
		{Label: "steering: in switchdev mode compat steering_mode is EOPNOTSUPP", Needs: append(compat, Switchdev), run: compatInSwitchdev},
	}
}

const steeringParam = "flow_steering_mode"

func (s *session) steering() string {
	s.Helper()
	got, err := s.h.Devlink.Param(s.ctx, s.handle(), steeringParam)
	s.must(err)
	return got
}

func (s *session) setSteering(mode string) error {
	return s.h.Devlink.SetParam(s.ctx, s.handle(), steeringParam, mode)
}

func noSteering(s *session) {
	_, err := s.h.Devlink.Param(s.ctx, s.handle(), steeringParam)
	s.refused(err, syscall.EINVAL)
	s.refused(s.setSteering("dmfs"), syscall.EINVAL)
}

func setsSteering(s *session) {
	before := s.steering()
	if !slices.Contains(s.dev.SteeringModes, before) {
		s.Errorf("flow_steering_mode is %q", before)
	}
	for _, mode := range append(slices.Clone(s.dev.SteeringModes), before, before) {
		s.must(s.setSteering(mode))
		if got := s.steering(); got != mode {
			s.Errorf("flow_steering_mode is %q after setting %s", got, mode)
		}
	}
}

func steeringStays(s *session) {
	before := s.steering()
	mode := s.dev.SteeringModes[len(s.dev.SteeringModes)-1]
	s.must(s.setSteering(mode))
	s.enterSwitchdev(2)
	if got := s.steering(); got != mode {
		s.Errorf("flow_steering_mode is %q in switchdev mode, %s was set", got, mode)
	}
	s.restore()
	if got := s.steering(); got != mode {
		s.Errorf("flow_steering_mode is %q back in legacy mode, %s was set", got, mode)
	}
	s.must(s.setSteering(before))
}

func steeringInSwitchdev(s *session) {
	before := s.steering()
	s.enterSwitchdev(1)
	for _, mode := range s.dev.SteeringModes {
		s.refusedWith(s.setSteering(mode), syscall.EOPNOTSUPP, "when eswitch offloads enabled")
	}
	if got := s.steering(); got != before {
		s.Errorf("flow_steering_mode is %q, was %q", got, before)
	}
}

func steeringUnsupported(s *session) {
	for mode, words := range map[string]string{"smfs": "Software", "hmfs": "Hardware"} {
		if !slices.Contains(s.dev.SteeringModes, mode) {
			s.refusedWith(s.setSteering(mode), syscall.EOPNOTSUPP, words+" managed steering is not supported by current device")
		}
	}
	s.refusedWith(s.setSteering("sideways"), syscall.EINVAL, "supported values are")
}

func (s *session) compatFile() string {
	s.Helper()
	return "sys/class/net/" + s.pfLink().Name + "/compat/devlink/steering_mode"
}

func setsCompat(s *session) {
	before := s.read(s.compatFile())
	for _, mode := range append(slices.Clone(s.dev.SteeringModes), before) {
		s.must(s.write(s.compatFile(), mode))
		if got := strings.TrimSpace(s.read(s.compatFile())); got != mode {
			s.Errorf("steering_mode is %q after setting %s", got, mode)
		}
	}
}

func compatInSwitchdev(s *session) {
	s.enterSwitchdev(1)
	s.refused(s.write(s.compatFile(), s.dev.SteeringModes[0]), syscall.EOPNOTSUPP)
}
