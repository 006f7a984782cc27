### What the pages say, in English (Fluent: https://projectfluent.org). Names of people, accounts and services are set
### into elements of their own by the templates, or filled in here. A test finds texts that are missing and ones nobody says.

## The frame of every page
skip = Skip to the content
nav-label = Main
nav-connections = My connections
nav-connect = Connect
nav-operator = Operator
nav-sign-in = Sign in
nav-sign-out = Sign out
docs-title = API

## The front page
home-title = Connections, kept fresh
home-heading = Connect an account once. It stays connected.
home-lead = Tokenry keeps your connections to other services on this server: sealed, kept fresh, and handed only to the programs you allow.
home-sign-in = Sign in
home-sign-up = Create an account
home-sealed-title = Sealed
home-sealed = What a service gives is encrypted before it is stored, and never shown on a page.
home-fresh-title = Kept fresh
home-fresh = Access is renewed before it runs out, and you are told in time when only you can renew it.
home-gone-title = Gone when you say so
home-gone = Deleting a connection takes the access back at the service too.
home-developers = You write programs?
home-docs = Read the API

## Signing in, up and out
field-username = Username
field-username-hint = 1 to 64 letters, digits, dots, dashes and underscores.
field-email = E-mail
field-password = Password
field-password-hint = At least 8 characters. A few words you can remember are good.
sign-in-title = Sign in
sign-in-heading = Sign in
sign-in-submit = Sign in
sign-in-new = New here?
sign-in-sign-up = Create an account
sign-up-title = Create an account
sign-up-heading = Create an account
sign-up-submit = Create the account
sign-up-known = You have an account?
sign-up-sign-in = Sign in
notice-signed-in = You are signed in as { $username }.
notice-signed-out = You are signed out of this browser.

## The account
account-title = Account
account-heading = Your account

## Leaving for a service
leave-title = To { $service }
leave-heading = Going to { $service }
leave-text = There you are asked what may be shared. Afterwards you come back here.
leave-link = Continue to { $service }

## A connect that ended well
connected-title = { $service } is connected
connected-new = Connected
connected-renewed = Renewed
connected-account = The account
connected-some-account = The account
connected-kept = was connected before; its connection was renewed and keeps its id.
connected-yours = now belongs to your Tokenry account.
connected-id = Connection
connected-name = Name
connected-owner = Tokenry account
connected-close = You can close this page.

## A grant that came back in another browser
confirm-title = Is this yours?
confirm-badge = One more step
confirm-heading = Is this Tokenry account yours?
confirm-who = The Tokenry account
confirm-receives = is about to receive access to
confirm-the-account = the { $service } account
confirm-your-account = your { $service } account.
confirm-elsewhere = The link was asked for in another browser, so sign in as
confirm-to-finish = to finish.
confirm-warning = If somebody sent you this link and that is not your account, choose “This is not me”.
confirm-password = Password of { $username }
confirm-finish = Sign in and connect
confirm-abandon = This is not me
abandoned-given-back = Nothing was stored, and the access that the service had granted was given back.
abandoned-given-back-title = Nothing was connected
abandoned-given-back-next = You can close this page.
abandoned-unconfirmed = Nothing was stored. This service has no way to give access back from here, or did not confirm it: to be sure, remove the app in your account's settings there.
abandoned-unconfirmed-title = Nothing was connected
abandoned-unconfirmed-next = You can close this page.

## A connect that did not end well
link-unknown-title = This link does not work
link-unknown-next = Ask for a new link and open it within ten minutes.
link-used-title = This link was used before
link-used-next = If you have just connected the account, all is well: reloading this page does nothing. Otherwise ask for a new link.
link-expired-title = This link has expired
link-expired-next = Ask for a new link and open it within ten minutes.
wrong-callback-title = The answer came back at the wrong address
wrong-callback-next = Ask for a new link. If it happens again, tell the operator of this server: a service may be set up with another service's address.
declined-title = Nothing was connected
declined-next = If you did not mean to decline, ask for a new link and allow the access.
wrong-account-title = The wrong account
wrong-account-next = Nothing was stored. Ask for a new link, sign in at the service with the account that belongs to this connection, and allow the access. For another account, make a connection of its own.
not-completed-title = The service did not complete the connection
not-completed-next = Ask for a new link and try again. If it happens again, tell the operator of this server what is written here.

## Connect links
link-title = Connect an account
link-heading = Connect an account
link-who = The Tokenry account
link-receives = gets the access.
link-warning = Is that not you, or did somebody you do not know send you this? Then close this page: nothing has happened yet.
link-not-you = You are signed in here as { $name }, and what you connect on this page goes to { $username }, not to you.
link-search = Find a service
link-search-button = Search
link-nothing = No service here goes by that.
link-connect = Connect { $service }
link-more = { $count ->
    [one] There is one more: search for it.
   *[other] There are { $count } more: search for yours.
}
link-until = This page is good until
link-service-title = Connect { $service }
link-such-as = Such as { $example }
link-back-to-services = Other services
link-unopened = The link works in one browser only: the one in which you choose to continue.
link-unopened-title = Continue in this browser?
link-unopened-button = Continue
link-framed = It opens in a window of its own: inside another page, your browser cannot show that it is you.
link-framed-title = Connect an account
link-framed-button = Open in a new window
link-take = The link was opened in another browser first. You are signed in as its owner, so you may go on here; it stops working there.
link-take-title = Go on in this browser?
link-take-button = Go on here
link-confirm = The link was opened in another browser first, and works only there. Here it works for its owner: sign in as { $username } to go on.
link-confirm-title = Is this Tokenry account yours?
link-confirm-button = Sign in as { $username }
link-stranger = The link was opened in another browser first, and works only there. Here it works for its owner: sign out, and sign in as { $username } to go on.
link-stranger-title = Is this Tokenry account yours?
link-stranger-button = Sign out
link-finishing-title = One moment
link-finishing-next = Look again in a moment. If nothing comes of it, ask for a new link.
link-ended-title = This link does not work any more
link-ended-next = Ask for a new link and open it within ten minutes.
link-elsewhere-title = This link works in another browser
link-elsewhere-next = Go on there, or ask for a new link.
link-other-service-title = This link is for another service
link-other-service-next = Go back and choose one of the services that it shows, or ask for a new link.
link-end-not = Not connected
link-end-as = Connected as
link-end-back = Back to { $place }
link-end-close = You can close this window.
link-end-again = Try again
link-end-next = Nothing was stored. Try again, or go back to where you came from.

## What could not be done
problem-title = That did not work
problem-next = Go back, change what is wrong, and try again.
problem-here-title = That did not work, and it is our fault
problem-here-next = Nothing was stored. Try again in a moment.
not-found = Either it was never there, or it is not yours to see.
not-found-title = There is nothing here
not-found-next = Check the address, or go on from the front page.
foreign-form = The form was not sent from a page that was shown in this browser, or the page was too old. Nothing was changed.
foreign-form-title = This form is no longer good
foreign-form-next = Go back, load the page again, and send the form anew.
too-large = What was sent is larger than we take. Nothing was changed.
too-large-title = That is too much
too-large-next = Go back and send less.
