package container

// An Engine is what the engine of a container says of itself, as far as it
// decides what settings of containers mean.
type Engine struct {
	AppArmor, SELinux, UserNamespaces, Rootless bool // are switched on

	DefaultRuntime string
	Podman         bool   // it is Podman, which says the same in other words
	CgroupVersion  string // "1" or "2"
	Memory         int64  // bytes of the machine, 0 when unknown
}
