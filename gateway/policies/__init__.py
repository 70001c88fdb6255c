"""One file a policy. Each exports POLICY; discovery finds them; none imports another."""
