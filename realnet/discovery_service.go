package realnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// The headers by which machines register with each other; the last is ours alone.
const (
	headerMachineIP    = "p2pfaas-machine-ip"
	headerMachineName  = "p2pfaas-machine-name"
	headerMachineGroup = "p2pfaas-machine-group-name"
	headerMembership   = "p2pfaas-membership" // version of the membership protocol
)

const (
	discoveryVersion = "0.0.4b"
	discoveryFile    = "p2p_faas-discovery.json"
	machinesFile     = "p2pfaas-discovery-machines.json"
	maxName          = 255 // bytes of a name or a group
	codeNotReady     = 100
)

// DiscoveryOptions are what a discovery service is made of.
type DiscoveryOptions struct {
	Identity      Identity          // ID, and the machine's IP without a port; empty: to be configured by a client
	Bind          netip.Addr        // address of the UDP socket
	Port          int               // of both HTTP and UDP; 0: 19000
	SchedulerPort int               // of this machine; 0: 18080
	Data          string            // directory of the configuration and of the machines known; empty: they are not kept
	Kept          func(KeptSetting) // told of what in Data takes the place of these options; nil: nobody is
	Group         string
	InitServers   []string // discovery addresses: IP or host name, with a port where that is not 19000
	// Resolve looks the addresses of a host name up; nil: the system's resolver. network is ip4 or ip6.
	Resolve     func(ctx context.Context, network, host string) ([]netip.Addr, error)
	PollTime    time.Duration // between two polls of a v1 machine; 0: 2 s
	PollTimeout time.Duration // 0: 1 s
	DeadPolls   int           // polls in vain after which a v1 machine leaves the list; 0: 3
	Membership  membership.Options
	Stream      rand.PCG // the membership's own
	Program     string   // version of the program, which metrics tell
	// Credentials are asked of callers, and shown to other machines; nil: everybody may do everything.
	Credentials *Credentials
	Faults      *Faults // of the node, which befall its messages to other machines; nil: nothing does
}

// discoverySettings are the body of /configuration.
type discoverySettings struct {
	IP          string   `json:"machine_ip"`
	ID          string   `json:"machine_id"`
	Group       string   `json:"machine_group_name"`
	InitServers []string `json:"init_servers"`
}

// listed is an entry of /list.
type listed struct {
	ID         int       `json:"_id"`
	IP         quietText `json:"ip"`
	Name       quietText `json:"name"`
	Group      quietText `json:"group_name"`
	Ping       float64   `json:"ping"`
	LastUpdate int64     `json:"last_update"`
	Alive      bool      `json:"alive"`
	DeadPolls  int       `json:"dead_polls"`
}

// quietText is a string in whose JSON the word alive does not occur: v1's clients count it to count machines.
type quietText string

// MarshalJSON implements json.Marshaler.
func (q quietText) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(string(q))
	return []byte(strings.ReplaceAll(string(text), "alive", `\u0061live`)), err
}

// DiscoveryService knows which machines there are: v1's discovery on the wire, and a member of the failure detector of
// core/membership among machines of ours.
type DiscoveryService struct {
	options DiscoveryOptions
	conn    *net.UDPConn
	client  *http.Client
	began   time.Time
	rng     *rand.Rand
	life    context.Context
	die     context.CancelFunc
	work    sync.WaitGroup
	wake    chan struct{} // holds one: Next may have changed
	due     chan struct{} // holds one: somebody may have to be polled
	changed chan struct{} // holds one: the list or the identity may have changed
	named   chan struct{} // holds one: there may be other names to look up
	polls   chan struct{} // holds as many as polls are under way

	malformed atomic.Uint64
	unsealed  sync.Once // has the first datagram that lacks its seal be told of
	metrics   *discoveryMetrics

	configuring sync.Mutex // one change of the settings after the other: the disk may take its time; before mu
	saving      sync.Mutex // the file of machines
	saved       []string
	telling     sync.Mutex // subscribers, one after the other; before mu
	subscribers []func(Identity, []string)

	mu          sync.Mutex
	settings    discoverySettings
	names       []string            // init servers that are host names
	machine     *membership.Machine // nil: the own IP is not known
	incarnation uint32
	generation  uint64 // counts the machines: what a poll of an earlier one says is dropped
	members     []member
	numbers     map[netip.AddrPort]core.NodeID
	free        []core.NodeID
	gone        []core.NodeID // forgotten during the input
	closed      bool
}

// member is what is known of a machine beyond what membership holds.
type member struct {
	address   netip.AddrPort // of its discovery service; zero: the number is free
	scheduler uint16         // its port; 0: not known
	name      string
	group     string
	ping      time.Duration
	heard     time.Time
	state     membership.State
	changed   time.Time // when it came into the state
	v1        bool

	seed      bool // an init server: asked until it answers
	missed    bool // an init server of which the log says that it does not answer
	ask       bool // to be polled whatever membership believes
	polling   bool
	next      time.Time // of the next poll
	deadPolls int
	tries     int // polls in vain since it was met, for the time between them
	mute      int // answers over HTTP, of one of ours, since the last datagram

	pinged   time.Time // when sequence was sent
	sequence uint32
}

// OpenDiscovery starts a discovery service. Its Handler is to be served on the port of the same number.
func OpenDiscovery(o DiscoveryOptions) (*DiscoveryService, error) {
	setDefault(&o.Port, DiscoveryPort)
	setDefault(&o.SchedulerPort, SchedulerPort)
	setDefault(&o.PollTime, 2*time.Second)
	setDefault(&o.PollTimeout, time.Second)
	setDefault(&o.DeadPolls, 3)
	if err := o.Membership.Validate(); err != nil {
		return nil, err
	}
	s := &DiscoveryService{options: o, began: time.Now(), wake: make(chan struct{}, 1), due: make(chan struct{}, 1),
		changed: make(chan struct{}, 1), named: make(chan struct{}, 1), polls: make(chan struct{}, 64), incarnation: uint32(time.Now().Unix())}
	s.rng = rand.New(&s.options.Stream)
	s.metrics = newDiscoveryMetrics(s)
	c := &s.settings
	if o.Data != "" {
		path := filepath.Join(o.Data, discoveryFile)
		if err := readJSON(path, c); err != nil {
			return nil, fmt.Errorf("reading the configuration of discovery: correct or delete the file: %w", err)
		}
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if err := writeJSON(path, discoverySettings{InitServers: []string{}}); err != nil {
				return nil, err
			}
		}
	}
	for _, x := range []struct {
		setting string
		kept    *string
		own     string
	}{{"bind", &c.IP, o.Identity.IP}, {"id", &c.ID, o.Identity.ID}, {"group", &c.Group, o.Group}} {
		if setDefault(x.kept, x.own); x.own != "" {
			keptIn(o.Kept, o.Data, discoveryFile, x.setting, *x.kept, x.own)
		}
	}
	if c.ID == "" && c.IP != "" {
		c.ID = "p2pfaas-" + c.IP
	}
	c.InitServers = append(slices.Clone(o.InitServers), c.InitServers...)
	if err := c.check(); err != nil {
		return nil, err
	}
	var known []string
	if o.Data != "" {
		if err := readJSON(filepath.Join(o.Data, machinesFile), &known); err != nil {
			return nil, fmt.Errorf("reading the machines that discovery knew: correct or delete the file: %w", err)
		}
	}
	var err error
	if s.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.Bind, uint16(o.Port)))); err != nil {
		return nil, fmt.Errorf("discovery cannot listen: is another node running here? %w", err)
	}
	dialer := net.Dialer{}
	if !o.Bind.IsUnspecified() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(o.Bind, 0))
	}
	s.client = o.Credentials.Client(&http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true})
	s.client.Timeout = o.PollTimeout
	s.life, s.die = context.WithCancel(context.Background())
	s.mu.Lock()
	s.begin()
	for _, a := range known {
		if at, err := parseAddress(a, DiscoveryPort); err == nil {
			s.meet(at)
		}
	}
	s.mu.Unlock()
	s.work.Go(s.receive)
	s.work.Go(s.drive)
	s.work.Go(s.poll)
	s.work.Go(s.lookUp)
	s.work.Go(s.tell)
	return s, nil
}

func setDefault[T comparable](x *T, otherwise T) {
	var zero T
	if *x == zero {
		*x = otherwise
	}
}

// check says what is wrong with what a client configures.
func (c *discoverySettings) check() error {
	var problems []error
	if c.IP != "" {
		if _, err := netip.ParseAddr(c.IP); err != nil {
			problems = append(problems, fmt.Errorf("machine_ip %.80q: write an IP address", c.IP))
		}
	}
	if len(c.ID) > maxName || len(c.Group) > maxName {
		problems = append(problems, fmt.Errorf("machine_id and machine_group_name have %d bytes at most", maxName))
	}
	for _, a := range c.InitServers {
		if err := CheckInitServer(a); err != nil {
			problems = append(problems, fmt.Errorf("init_servers: %w", err))
		}
	}
	return errors.Join(problems...)
}

// parseAddress reads the address of a service: IP, or IP:port where that is not the standard one.
func parseAddress(text string, standard uint16) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip.Unmap().WithZone(""), standard), nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%.80q: write an IP address, or one with a port", text)
	}
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()), nil
}

// addressText writes an address: IP where the port is the standard one.
func addressText(at netip.AddrPort, standard uint16) string {
	if at.Port() == standard {
		return at.Addr().String()
	}
	return at.String()
}

// begin makes this machine a member that knows nobody but its init servers.
func (s *DiscoveryService) begin() {
	s.generation++
	s.machine, s.names, s.members, s.free, s.gone = nil, nil, nil, nil, nil
	s.numbers = map[netip.AddrPort]core.NodeID{}
	ip, err := netip.ParseAddr(s.settings.IP)
	if err != nil {
		return // a client will configure it
	}
	o := s.options.Membership
	o.Self, o.Incarnation = 0, s.incarnation
	s.incarnation++
	s.number(netip.AddrPortFrom(ip.Unmap().WithZone(""), uint16(s.options.Port)))
	s.members[0].scheduler = uint16(s.options.SchedulerPort)
	s.machine = membership.New(o, (*discoveryHost)(s), s.rng)
	s.machine.Join(s.now(), nil)
	s.meetInitServers()
	s.settle()
}

func (s *DiscoveryService) meetInitServers() {
	s.names = nil
	for _, a := range s.settings.InitServers {
		at, name, _, err := parseInitServer(a)
		if err != nil {
			continue // what was configured has been checked
		}
		if name != "" {
			s.names = append(s.names, a)
		} else if id := s.meet(at); id > 0 {
			s.members[id].seed = true
		}
	}
	kick(s.named)
}

// number is the number of the machine at an address; NoNode where the table is full.
func (s *DiscoveryService) number(at netip.AddrPort) core.NodeID {
	id, known := s.numbers[at]
	switch {
	case known:
		return id
	case len(s.free) > 0:
		id = s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
	case len(s.members) < s.options.Membership.Members:
		id = core.NodeID(len(s.members))
		s.members = append(s.members, member{})
	default:
		return core.NoNode
	}
	s.members[id] = member{address: at}
	s.numbers[at] = id
	return id
}

// release makes a number free.
func (s *DiscoveryService) release(id core.NodeID) {
	delete(s.numbers, s.members[id].address)
	s.members[id] = member{}
	s.free = append(s.free, id)
}

// settle ends every input of the membership: numbers of the forgotten become free, and the others see what is new.
func (s *DiscoveryService) settle() {
	for _, id := range s.gone {
		x := &s.members[id]
		if x.state != membership.Unknown || !x.address.IsValid() {
			continue
		}
		if x.seed {
			x.deadPolls, x.tries = 0, 0
		} else if !x.ask {
			s.release(id)
		}
	}
	s.gone = s.gone[:0]
	kick(s.wake)
	kick(s.due)
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close says goodbye to the other machines and ends the service.
func (s *DiscoveryService) Close() error {
	s.mu.Lock()
	s.closed = true
	known := s.known()
	if s.machine != nil {
		s.machine.Leave(s.now())
	}
	s.mu.Unlock()
	s.die()
	err := s.conn.Close()
	s.work.Wait()
	s.client.CloseIdleConnections()
	return errors.Join(err, s.save(known))
}

// Malformed is how many datagrams were dropped because they made no sense.
func (s *DiscoveryService) Malformed() uint64 { return s.malformed.Load() }

func (s *DiscoveryService) now() core.Time { return core.Time(time.Since(s.began)) }

// alive are the numbers of the machines in the list.
func (s *DiscoveryService) alive() []core.NodeID {
	var ids []core.NodeID
	for i := 1; i < len(s.members); i++ {
		if x := &s.members[i]; (x.state == membership.Alive || x.state == membership.Suspect) && (x.v1 || x.scheduler != 0) {
			ids = append(ids, core.NodeID(i))
		}
	}
	return ids
}

// schedulerAddress is the address of a machine's scheduler service.
func (x *member) schedulerAddress() string {
	port := x.scheduler
	if x.v1 || port == 0 {
		port = SchedulerPort
	}
	return addressText(netip.AddrPortFrom(x.address.Addr(), port), SchedulerPort)
}

// schedulerOf is the address of the scheduler service of the machine whose discovery service is there.
func (s *DiscoveryService) schedulerOf(at netip.AddrPort) string {
	if id, known := s.numbers[at]; known {
		return s.members[id].schedulerAddress()
	}
	return addressText(netip.AddrPortFrom(at.Addr(), SchedulerPort), SchedulerPort)
}

func (s *DiscoveryService) known() []string {
	addresses := []string{}
	for _, id := range s.alive() {
		addresses = append(addresses, addressText(s.members[id].address, DiscoveryPort))
	}
	slices.Sort(addresses)
	return addresses
}

// peers are the addresses of the scheduler services of the machines that are there, without this one, sorted. s.mu is held.
func (s *DiscoveryService) peers() []string {
	peers := []string{}
	for _, id := range s.alive() {
		peers = append(peers, s.members[id].schedulerAddress())
	}
	slices.Sort(peers)
	return slices.Compact(peers)
}

// Members are the machines that this one knows, itself not among them, by their addresses.
func (s *DiscoveryService) Members() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Member{}
	for i := 1; i < len(s.members); i++ {
		if x := &s.members[i]; x.state != membership.Unknown && (x.v1 || x.scheduler != 0) {
			all = append(all, Member{Address: x.schedulerAddress(), State: x.state.String(), For: time.Since(x.changed)})
		}
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.Address, b.Address) })
	return all
}

// identity is how this machine is called, with the address of its scheduler service.
func (s *DiscoveryService) identity() Identity {
	if s.machine == nil {
		return Identity{}
	}
	return Identity{ID: s.settings.ID, IP: s.members[0].schedulerAddress()}
}

// Subscribe calls changed with this machine's identity and the addresses of its peers, now and whenever one of them
// changes, never twice at once. Until the identity is known there are no calls. changed must not call the service.
func (s *DiscoveryService) Subscribe(changed func(me Identity, peers []string)) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.subscribers = append(s.subscribers, changed)
	s.mu.Lock()
	me, peers := s.identity(), s.peers()
	s.mu.Unlock()
	if me.IP != "" {
		changed(me, peers)
	}
}

// tell tells subscribers and the file what has changed.
func (s *DiscoveryService) tell() {
	var me Identity
	var peers []string
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.changed:
		}
		s.telling.Lock()
		s.mu.Lock()
		nowMe, nowPeers, known, closed := s.identity(), s.peers(), s.known(), s.closed
		s.mu.Unlock()
		if closed { // what runs is finished with the peers that were there
			s.telling.Unlock()
			return
		}
		if nowMe.IP != "" && (nowMe != me || !slices.Equal(nowPeers, peers)) {
			tellPeers(peers, nowPeers)
			me, peers = nowMe, nowPeers
			for _, f := range s.subscribers {
				f(me, slices.Clone(peers))
			}
		}
		s.telling.Unlock()
		if err := s.save(known); err != nil {
			slog.Error("the machines that discovery knows cannot be kept", "error", err)
		}
	}
}

// save keeps the machines that are known, for the next life.
func (s *DiscoveryService) save(known []string) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	if s.options.Data == "" || s.saved != nil && slices.Equal(s.saved, known) {
		return nil
	}
	s.saved = known
	return writeJSON(filepath.Join(s.options.Data, machinesFile), known)
}

// Handler is the service on the port of HTTP (v1: 19000).
func (s *DiscoveryService) Handler() http.Handler { return s.routes() }

func (s *DiscoveryService) routes() *routes {
	r := newRoutes(s.options.Credentials)
	r.handle(toCall, http.MethodGet, "/", func(c *gin.Context) {
		c.String(http.StatusOK, "Welcome to the p2p-fog discovery service v"+discoveryVersion+"!")
	})
	r.handle(toPeer, http.MethodGet, "/list", s.getList) // who asks registers
	r.handle(toReset, http.MethodGet, "/reset", s.reset)
	r.handle(toWatch, http.MethodGet, "/metrics", getMetrics(s.metrics.registry))
	r.handle(toWatch, http.MethodGet, "/configuration", s.getConfiguration)
	r.handle(toConfigure, http.MethodPost, "/configuration", s.postConfiguration)
	return r
}

// says are the headers by which this machine registers.
func (s *DiscoveryService) says() map[string]string {
	h := map[string]string{headerMembership: "1"}
	if s.machine != nil {
		me := addressText(s.members[0].address, DiscoveryPort)
		maps.Copy(h, map[string]string{headerMachineIP: me, headerMachineName: me, headerMachineGroup: s.settings.Group})
	}
	return h
}

func (s *DiscoveryService) getList(c *gin.Context) {
	s.mu.Lock()
	if s.closed { // who has said goodbye is not met again
		s.mu.Unlock()
		refuse(c, http.StatusServiceUnavailable, wire.NewFailure(wire.CodeUnavailable, "The service is shutting down"))
		return
	}
	caller := "" // its scheduler service, where it is a machine
	if c.GetHeader("User-Agent") == wire.UserAgentNode {
		if at, err := parseAddress(c.GetHeader(headerMachineIP), DiscoveryPort); err == nil {
			s.called(at)
			caller = s.schedulerOf(at)
		}
	}
	list := []listed{}
	for _, id := range s.alive() {
		x := &s.members[id]
		m := listed{ID: int(id), IP: quietText(x.schedulerAddress()), Name: quietText(x.name), Group: quietText(x.group),
			Ping: x.ping.Seconds(), LastUpdate: s.options.Faults.wall(x.heard).Unix(), Alive: true, DeadPolls: x.deadPolls}
		setDefault(&m.Name, m.IP)
		if !x.v1 {
			setDefault(&m.Group, quietText(s.settings.Group))
		}
		list = append(list, m)
	}
	headers := s.says()
	s.mu.Unlock()
	if caller != "" && s.options.Faults.delay(c.Request.Context(), caller) != nil {
		panic(http.ErrAbortHandler) // the caller has given up
	}
	slices.SortFunc(list, func(a, b listed) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for k, v := range headers {
		c.Header(k, v)
	}
	c.JSON(http.StatusOK, list)
}

// reset forgets all machines, the init servers too. Machines of ours that are there will speak to this one again.
func (s *DiscoveryService) reset(c *gin.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	init := s.settings.InitServers
	s.settings.InitServers = nil
	s.begin()
	s.settings.InitServers = init
	kick(s.changed)
	c.Status(http.StatusOK)
}

func (s *DiscoveryService) getConfiguration(c *gin.Context) {
	s.mu.Lock()
	answer := s.settings
	s.mu.Unlock()
	if answer.IP == "" {
		refuse(c, http.StatusInternalServerError, wire.NewFailure(codeNotReady, "Configuration not ready"))
		return
	}
	if answer.InitServers == nil {
		answer.InitServers = []string{}
	}
	c.JSON(http.StatusOK, answer)
}

// refuse answers an error in v1's way.
func refuse(c *gin.Context, status int, f *wire.Failure) {
	c.Data(status, "text/plain; charset=utf-8", f.Body())
}

func (s *DiscoveryService) postConfiguration(c *gin.Context) {
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxConfiguration))
	if err != nil {
		refuse(c, http.StatusInternalServerError, wire.NewV1Failure(wire.CodeGeneric, "the configuration cannot be read: %v", err))
		return
	}
	s.configuring.Lock()
	defer s.configuring.Unlock()
	s.mu.Lock()
	next := s.settings
	s.mu.Unlock()
	next.InitServers = slices.Clone(next.InitServers)
	if err := json.Unmarshal(text, &next); err != nil {
		refuse(c, http.StatusInternalServerError, wire.NewV1Failure(wire.CodeGeneric, "the configuration is no valid JSON: %v", err))
		return
	}
	if err := next.check(); err != nil {
		refuse(c, http.StatusBadRequest, wire.NewV1Failure(wire.CodeInput, "%v", err))
		return
	}
	if s.options.Data != "" {
		if err := writeJSON(filepath.Join(s.options.Data, discoveryFile), next); err != nil {
			refuse(c, http.StatusInternalServerError, wire.NewV1Failure(wire.CodeGeneric, "the configuration cannot be kept: %v", err))
			return
		}
	}
	s.configure(next)
	c.Status(http.StatusOK)
}

// configure takes other settings. Where the own address is another one, the service begins anew, with the machines that it knows.
func (s *DiscoveryService) configure(next discoverySettings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.settings.IP
	known := s.known()
	s.settings = next
	if next.IP != old {
		if s.machine != nil {
			s.machine.Leave(s.now())
		}
		s.begin()
		for _, a := range known {
			if at, err := parseAddress(a, DiscoveryPort); err == nil {
				s.meet(at)
			}
		}
	} else if s.machine != nil {
		s.meetInitServers()
		s.settle()
	}
	kick(s.changed)
}
