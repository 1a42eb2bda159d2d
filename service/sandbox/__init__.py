"""A stand-in for Twilio and SendGrid with phones and mailboxes to look at, so that nothing needs an account.

It speaks the vendors' wire format, signs what it sends back as they do, and misbehaves on request.
It knows nothing of the service beside its settings: whatever it can see, a real provider could see.
"""
