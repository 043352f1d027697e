package hosttest

import "syscall"

func ueventSpecs() []Spec {
	return []Spec{
		{Label: "events: a netdev is announced once more, with a word that the kernel knows", run: announced},
	}
}

// announced: uevent_store of drivers/base/core.c.
func announced(s *session) {
	uevent := "sys/class/net/" + s.pfLink().Name + "/uevent"
	s.must(s.write(uevent, "change"))
	s.refused(s.write(uevent, "nonsense"), syscall.EINVAL)
	s.refused(s.write("sys/class/net/none/uevent", "change"), syscall.ENOENT)
}
