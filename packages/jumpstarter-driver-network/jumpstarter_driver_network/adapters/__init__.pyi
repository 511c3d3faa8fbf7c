from .dbus import DbusAdapter as DbusAdapter
from .fabric import FabricAdapter as FabricAdapter
from .novnc import NovncAdapter as NovncAdapter
from .pexpect import PexpectAdapter as PexpectAdapter
from .portforward import TcpPortforwardAdapter as TcpPortforwardAdapter
from .portforward import UdpPortforwardAdapter as UdpPortforwardAdapter
from .portforward import UnixPortforwardAdapter as UnixPortforwardAdapter
